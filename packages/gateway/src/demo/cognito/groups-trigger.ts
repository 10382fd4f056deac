import type { PoolUser } from './pool-settings.ts'

/**
 * What the usual PreTokenGeneration trigger does with groups that came as one flattened string: it takes them apart again.
 * The same as in examples/cognito/template.yaml.
 */
export function groupsFromAttribute(user: PoolUser): string[] {
  const text = user.attributes.get('custom:groups') ?? ''
  const names = text.replace(/^\[|\]$/g, '').split(/,\s*/)
  return [...user.groups, ...names.filter((name) => name !== '')]
}
