import type { ExplainedStep } from '../access/explanation.ts'

/** One line for each check; a check of several lines is named once. `place`: where the route stands, `FILE:LINE`. */
export function rowsOf(steps: readonly ExplainedStep[], place: string | undefined): string[] {
  return steps.map(({ check, says }, at) => {
    const name = steps[at - 1]?.check === check ? '' : check
    return row(name, check === 'route' && place !== undefined && name !== '' ? `${says} (${place})` : says)
  })
}

export function row(name: string, says: string): string {
  return `  ${name.padEnd(9)}${says}`
}
