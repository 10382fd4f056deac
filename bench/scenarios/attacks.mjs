// What the attack tools of Debian find on the running gateway: wapiti, slowhttptest, testssl.sh; and HTTP/2 under load.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { apiHeaders } from '../lib/headers.mjs'
import { fetchText } from '../lib/http.mjs'
import { debianPart } from '../lib/parts.mjs'
import { freePort, start, withMostFiles } from '../lib/process.mjs'
import { writeSessions } from '../lib/sessions.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { startGateway } from '../peers/coatcheck.mjs'

export const title = 'Attack tools'

const programs = [
  ['/usr/bin/wapiti', 'wapiti'],
  ['/usr/bin/slowhttptest', 'slowhttptest'],
  ['/usr/bin/testssl', 'testssl.sh'],
  ['/usr/bin/h2load', 'nghttp2-client'],
  ['/usr/bin/openssl', 'openssl'],
]

/** Those of wapiti's modules that ask nobody but the server. */
const modules =
  'backup,blindsql,cookieflags,crlf,csp,csrf,exec,file,htaccess,http_headers,methods,permanentxss,redirect,shellshock,sql,xss'

/** What wapiti says and we mean: each with the reason. Anything else counts against the target. */
const judged = [
  [
    /^Cross Site Request Forgery: POST \/api\/orders /,
    'it looks for tokens in forms; this route asks for the header X-CSRF, which no form can send',
  ],
  [/X-Frame-Options is not set$/, 'frame-ancestors is, which every browser with Fetch Metadata obeys instead'],
  [/X-XSS-Protection is not set$/, 'browsers have removed what it steered'],
  [/Strict-Transport-Security is not set$/, 'loopback gets none: it would force every other port of it to https'],
]

export async function run(setting) {
  for (const [file, name] of programs) debianPart([file], [name])
  const { folder, core, log } = setting
  const home = join(folder, 'coatcheck')
  const [cookie] = await writeSessions({ home, count: 1, core: core.load })
  const upstream = await startUpstream({ folder, core: core.load })
  const tls = await certificate(folder, core)
  const site = join(folder, 'site')
  mkdirSync(site)
  writeFileSync(join(site, 'index.html'), page)
  const routes = `  - path: /*
    static: ${site}
    access: public
`
  const shared = { home, core: core.server, upstream, routes, issuer: 'http://127.0.0.1:9', manySockets: true }
  const [port, securePort] = [await freePort(), await freePort()]
  const plain = await startGateway({ ...shared, port })
  const secure = await startGateway({ ...shared, port: securePort, tls })
  const use = {
    ...setting,
    origin: `http://127.0.0.1:${port}`,
    secureOrigin: `https://127.0.0.1:${securePort}`,
    cookie,
    plain,
  }
  const figures = {}
  for (const [name, tool] of Object.entries({ wapiti, slow, testssl, http2 })) {
    figures[name] = await tool(use)
    log(`${name}: ${JSON.stringify(figures[name]).slice(0, 1500)}`)
  }
  const lines = [plain, secure].flatMap(({ log: file }) => readFileSync(file, 'utf8').trim().split('\n'))
  const faults = lines.filter((line) => !/^\{/.test(line) || JSON.parse(line).level >= 50)
  for (const fault of faults.slice(0, 10)) log(fault)
  const alive = plain.running() && secure.running()
  return { ...figures, faults: faults.length, alive }
}

/** A page with what a scanner follows: links with parameters, a form, the gateway's own endpoints. */
const page = `<!doctype html><title>Orders</title>
<a href="/api/orders?id=1&sort=name">orders</a> <a href="/auth/login?return_to=/orders&login_hint=ada">sign in</a>
<a href="/auth/session?passive=1">session</a> <a href="/auth/step-up?return_to=/orders&max_age=300&acr=mfa">again</a>
<a href="/auth/callback/bench?code=c&state=s">callback</a> <a href="/auth/callback/bench?error=access_denied&error_description=no&state=s">refused</a>
<form action="/api/orders" method="post"><input name="note"><input name="csrf_token"><button>Save</button></form>
<form action="/auth/logout" method="post"><button>Sign out</button></form>
`

async function certificate(folder, core) {
  const [cert, key] = [join(folder, 'tls.crt'), join(folder, 'tls.key')]
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '30']
  const kind = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  await start('openssl', [...kind, ...subject, '-keyout', key, '-out', cert], {
    core: core.load,
    log: join(folder, 'openssl.log'),
  }).exited
  return { cert, key }
}

async function wapiti({ folder, core, origin, cookie, quick }) {
  const report = join(folder, 'wapiti.json')
  const limits = ['--max-scan-time', quick ? '20' : '300', '--max-links-per-page', '50', '-S', 'normal', '-t', '5']
  const headers = Object.entries(apiHeaders(origin, cookie)).filter(([name]) => /^(cookie|x-csrf)$/i.test(name))
  const args = [
    '-u',
    `${origin}/`,
    '-m',
    modules,
    ...limits,
    '-f',
    'json',
    '-o',
    report,
    '--flush-session',
    '--no-bugreport',
  ]
  const sent = headers.flatMap(([name, value]) => ['-H', `${name}: ${value}`])
  const env = { HOME: folder }
  await start('wapiti', [...args, ...sent], { core: core.load, env, log: join(folder, 'wapiti.log') }).exited
  const { infos, vulnerabilities, anomalies } = JSON.parse(readFileSync(report, 'utf8'))
  const found = Object.entries({ ...vulnerabilities, ...anomalies }).flatMap(([kind, list]) =>
    list.map(({ method, path, info }) => `${kind}: ${method} ${path} ${info}`),
  )
  return { version: infos.version.replace('Wapiti ', ''), found: [...new Set(found)] }
}

/** While a tool holds a thousand connections open, other clients ask all the time. */
async function slow({ folder, core, origin, plain, quick }) {
  const kinds = {
    headers: ['-H'],
    body: ['-B', '-s', '8192'],
    read: ['-X', '-w', '512', '-y', '1024', '-n', '5', '-z', '32'],
  }
  const seconds = quick ? 10 : 60
  const before = readdirSync(`/proc/${plain.pid}/fd`).length
  const results = {}
  for (const [kind, options] of Object.entries(kinds)) {
    const path = kind === 'body' ? '/api/orders' : '/'
    const connections = [
      '-c',
      '1000',
      '-r',
      '200',
      '-i',
      '5',
      '-l',
      String(seconds),
      '-p',
      '3',
      '-u',
      `${origin}${path}`,
    ]
    const command = withMostFiles(['slowhttptest', ...options, ...connections])
    const tool = start(command[0], command.slice(1), { core: core.load, log: join(folder, `slow-${kind}.log`) })
    const times = []
    while (tool.running()) {
      const begin = performance.now()
      const { status } = await fetchText(`${origin}/auth/session`, { agent: false })
      if (status !== 200) throw new Error(`slow ${kind}: another client was answered ${status}`)
      times.push(performance.now() - begin)
      await sleep(100)
    }
    results[kind] = { asked: times.length, slowest: Math.max(...times) }
  }
  await sleep(2000)
  return { seconds, kinds: results, descriptors: readdirSync(`/proc/${plain.pid}/fd`).length - before }
}

async function testssl({ folder, core, secureOrigin, quick }) {
  const report = join(folder, 'testssl.json')
  const scope = quick ? ['-p'] : []
  const args = ['--quiet', '--color', '0', '--warnings', 'batch', '--jsonfile', report, ...scope, secureOrigin]
  await start('testssl', args, { core: core.load, log: join(folder, 'testssl.log'), cwd: folder }).exited
  const all = JSON.parse(readFileSync(report, 'utf8'))
  // The certificate is the operator's: here one that nobody trusts.
  const own = all.filter(({ id }) => !/^(cert|overall_grade|grade_cap|final_score|DNS_CAA|scanTime)/.test(id))
  const bad = own.filter(({ severity }) => ['MEDIUM', 'HIGH', 'CRITICAL'].includes(severity))
  return { checks: own.length, found: bad.map(({ id, severity, finding }) => `${severity} ${id}: ${finding}`) }
}

async function http2({ folder, core, secureOrigin, cookie, quick }) {
  const count = quick ? 1000 : 50_000
  const headers = Object.entries(apiHeaders(secureOrigin, cookie)).flatMap(([name, value]) => [
    '-H',
    `${name.toLowerCase()}: ${value}`,
  ])
  const log = join(folder, 'h2load.log')
  await start('h2load', ['-n', String(count), '-c', '50', '-m', '20', ...headers, `${secureOrigin}/api/orders`], {
    core: core.load,
    log,
  }).exited
  const text = readFileSync(log, 'utf8')
  const succeeded = Number(/status codes: (\d+) 2xx/.exec(text)?.[1])
  return { count, succeeded, protocol: /Application protocol: (\S+)/.exec(text)?.[1] }
}

export function report({ wapiti, slow, testssl, http2, faults, alive }) {
  const list = (found) => (found.length === 0 ? 'nothing' : found.join('<br>').replaceAll('|', '\\|'))
  const reasonOf = (finding) => judged.find(([pattern]) => pattern.test(finding))?.[1]
  const explained = wapiti.found.map((finding) => (reasonOf(finding) ? `${finding} (${reasonOf(finding)})` : finding))
  return {
    notes:
      'The gateway with a static page, an API, and a session whose cookie the tools hold. The certificate is self-signed; what testssl.sh says of it is left out.',
    head: ['tool', 'did', 'found'],
    body: [
      [`wapiti ${wapiti.version}`, modules.replaceAll(',', ', '), list(explained)],
      ...Object.entries(slow.kinds).map(([kind, { asked, slowest }]) => [
        `slowhttptest, slow ${kind}`,
        `1,000 connections for ${slow.seconds} s`,
        `${asked} requests of others answered, the slowest in ${slowest.toFixed(0)} ms`,
      ]),
      ['testssl.sh', `${testssl.checks} checks`, list(testssl.found)],
      [
        'h2load',
        `${http2.count.toLocaleString('en')} requests over ${http2.protocol}, 50 connections of 20 streams`,
        `${http2.succeeded.toLocaleString('en')} answered 2xx`,
      ],
    ],
    targets: [
      {
        what: 'findings of wapiti without a reason',
        limit: 0,
        value: wapiti.found.filter((one) => !reasonOf(one)).length,
      },
      { what: 'findings of testssl.sh of medium severity and above', limit: 0, value: testssl.found.length },
      { what: 'HTTP/2 requests that failed', limit: 0, value: http2.count - http2.succeeded },
      {
        what: 'slowest answer to others under slowhttptest',
        limit: 1000,
        value: Math.max(...Object.values(slow.kinds).map(({ slowest }) => slowest)),
        unit: ' ms',
      },
      { what: 'descriptors left open after it', limit: 20, value: slow.descriptors },
      { what: 'faults in the log', limit: 0, value: faults },
      { what: 'gateways that ended', limit: 0, value: alive ? 0 : 1 },
    ],
  }
}
