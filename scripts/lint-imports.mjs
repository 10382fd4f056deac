// Imports go one way in packages/gateway/src. This file says which, and fails on an import against the arrow.
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/**
 * The house from top to bottom. A file may import from its own layer and from those below.
 * `rest` takes the files at the root that no other layer names. `apart`: the members don't import each other.
 */
export const layers = [
  { name: 'commands', members: ['cli/'] },
  { name: 'demo', members: ['demo/'] },
  { name: 'assembly', members: ['index.ts', 'start.ts', 'compose.ts', 'generation.ts', 'log.ts'] },
  { name: 'carriers and drivers', members: ['node/', 'adapters/', 'stores/'], apart: true },
  { name: 'guard and endpoints', members: [], rest: true },
  {
    name: 'rooms',
    members: [
      'account/',
      'session/',
      'oidc/',
      'access/',
      'upstream/',
      'watch/',
      'identity/',
      'device/',
      'signals/',
      'limits/',
    ],
  },
  { name: 'configuration', members: ['config/'] },
  { name: 'kinds of providers', members: ['providers/'] },
  { name: 'protocol', members: ['protocol/'] },
  { name: 'vocabulary', members: ['errors.ts', 'decision.ts', 'event-log.ts'] },
]

/** Shapes that any layer may speak of, by `import type` only. */
export const shapes = [
  'services.ts',
  'endpoint.ts',
  'admin-endpoint.ts',
  'request.ts',
  'config/schema.ts',
  'session/record.ts',
]

/** Who may import a package, or must not. */
export const packages = [
  { what: /^(openid-client|oauth4webapi)(\/|$)/, only: ['oidc/'], why: 'OAuth stays in one folder' },
  {
    what: /^lmdb(\/|$)/,
    only: [
      ...['stores/lmdb.ts', 'stores/lmdb-commit.ts', 'stores/lmdb-outbox.ts', 'stores/lmdb-notes.ts'],
      'stores/lmdb-users.ts',
    ],
    why: 'a driver stays in its store',
  },
  {
    what: /^@aws-sdk\//,
    only: ['upstream/aws/identity-sdk.ts'],
    why: 'the SDK is loaded in one place, with the first call',
  },
  { what: /^parse5(\/|$)/, only: ['protocol/nonced-page.ts'], why: 'pages are read in one place' },
  { what: /^prom-client(\/|$)/, only: ['watch/'], why: 'metrics stay in one folder' },
  { what: /^oidc-provider(\/|$)/, only: ['demo/'], why: 'the development provider is optional' },
  { what: /^node:/, never: ['protocol/'], why: 'the protocol is pure text and runs anywhere' },
]

/** What stores may know of the house: types of the port and of their own settings. */
export const storesKnow = [
  ...['session/store.ts', 'session/outbox.ts', 'session/notes.ts'],
  ...['identity/user-store.ts', 'config/schema.ts'],
]

/** Every import of a file: what is asked for, on which line, and whether only types. */
export function importsOf(file, text) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)
  const found = []
  const add = (node, specifier, typeOnly) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart())
    found.push({ specifier: specifier.text, line: line + 1, typeOnly })
  }
  const visit = (node) => {
    if (ts.isImportDeclaration(node)) add(node, node.moduleSpecifier, isTypeOnly(node.importClause))
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier)
      add(node, node.moduleSpecifier, isTypeOnly(node, node.exportClause))
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal, true)
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      if (ts.isStringLiteralLike(node.arguments[0])) add(node, node.arguments[0], false)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return found
}

function isTypeOnly(clause, named = clause?.namedBindings) {
  if (!clause) return false
  if (clause.isTypeOnly) return true
  return !clause.name && named?.elements?.length > 0 && named.elements.every((element) => element.isTypeOnly)
}

const within = (file, places) =>
  places.find((place) => file === place || (place.endsWith('/') && file.startsWith(place)))

function layerOf(file) {
  const named = layers.findIndex((layer) => within(file, layer.members))
  return named >= 0 ? named : file.includes('/') ? -1 : layers.findIndex((layer) => layer.rest)
}

/** Why a file may not import this, or undefined. Files are relative to src, with `/`. */
export function objection(file, { specifier, typeOnly }) {
  if (!specifier.startsWith('.')) {
    const rule = packages.find(({ what }) => what.test(specifier))
    const allowed = !rule || (rule.only ? within(file, rule.only) : !within(file, rule.never))
    return allowed
      ? undefined
      : `${rule.why}: ${rule.only ? `only ${rule.only} may import it` : `not in ${rule.never}`}`
  }
  const target = posix.normalize(posix.join(posix.dirname(file), specifier))
  if (target.startsWith('../')) return 'this leaves src'
  const [from, to] = [layerOf(file), layerOf(target)]
  if (from < 0) return `${file.split('/')[0]}/ is in no layer; give it a place in scripts/lint-imports.mjs`
  if (file.startsWith('stores/') && !target.startsWith('stores/')) {
    return typeOnly && storesKnow.includes(target) ? undefined : 'stores know the types of their port, and nothing else'
  }
  if (typeOnly && shapes.includes(target)) return undefined
  if (to < 0) return `${target.split('/')[0]}/ is in no layer; give it a place in scripts/lint-imports.mjs`
  if (to < from) return `${layers[from].name} must not import ${layers[to].name}`
  const strangers =
    layers[from].apart && from === to && within(file, layers[from].members) !== within(target, layers[to].members)
  return strangers ? `${layers[from].name} don't import each other` : undefined
}

/** All objections below a folder, one line each. */
export function lint(root) {
  return readdirSync(root, { recursive: true })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.split(sep).join('/'))
    .sort()
    .flatMap((file) =>
      importsOf(file, readFileSync(join(root, file), 'utf8')).flatMap((one) => {
        const why = objection(file, one)
        return why ? [`${join(root, file)}:${one.line}: '${one.specifier}': ${why}`] : []
      }),
    )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const here = join(dirname(fileURLToPath(import.meta.url)), '..')
  const root = process.argv[2] ?? relative(process.cwd(), join(here, 'packages/gateway/src'))
  const problems = lint(root)
  for (const problem of problems) console.error(problem)
  if (problems.length > 0) process.exitCode = 1
}
