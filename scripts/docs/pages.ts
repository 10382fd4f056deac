import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { jsonSchema } from '../../packages/gateway/src/config/json-schema.ts'
import { configurationPage } from './configuration.ts'
import { errorsPage } from './errors.ts'
import { formatJson } from './json.ts'
import { type Requirements, requirementsPage } from './requirements.ts'
import { testTitles } from './test-titles.ts'

/** Every generated page: its path in the repository, and what must be in it. `root` is the repository. */
export function pages(root: string): Record<string, string> {
  const requirements = JSON.parse(readFileSync(join(root, 'docs/requirements.json'), 'utf8')) as Requirements
  return {
    'docs/config.schema.json': `${formatJson(jsonSchema())}\n`,
    'docs/configuration.md': configurationPage(),
    'docs/errors.md': errorsPage(),
    'docs/requirements.md': requirementsPage(requirements, testTitles(root)),
  }
}
