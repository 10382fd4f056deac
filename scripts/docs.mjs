// `npm run docs`: writes the generated pages. docs.test.ts fails when one of them is stale.
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runnerImport } from 'vite' // comes with vitest; reads the TypeScript sources without a build

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const { module } = await runnerImport(join(root, 'scripts/docs/pages.ts'), {
  root,
  configFile: false,
  logLevel: 'error',
})
for (const [path, content] of Object.entries(module.pages(root))) {
  writeFileSync(join(root, path), content)
  console.log(path)
}
