import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { signIn } from '../lib/http.mjs'
import { debianPart } from '../lib/parts.mjs'
import { ready, start } from '../lib/process.mjs'

const packages = ['apache2', 'libapache2-mod-auth-openidc']
const configuration = ({ home, modules, port, upstream, issuer }) => `ServerName 127.0.0.1
ServerRoot ${home}
PidFile ${home}/apache.pid
Mutex file:${home} default
ErrorLog ${home}/error.log
LogLevel warn
Listen 127.0.0.1:${port}
${['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers', 'proxy', 'proxy_http', 'auth_openidc']
  .map((name) => `LoadModule ${name}_module ${modules}/mod_${name}.so`)
  .join('\n')}
User www-data
Group www-data

# One process with room for all 64 connections: on one core a third less CPU per request than Debian's several of 25 threads.
ServerLimit 1
StartServers 1
ThreadsPerChild 128
ThreadLimit 128
MaxRequestWorkers 128
MinSpareThreads 1
MaxSpareThreads 128
MaxConnectionsPerChild 0
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 65
LimitRequestFieldSize 16384

OIDCProviderMetadataURL ${issuer}/.well-known/openid-configuration
OIDCClientID mod-auth-openidc
OIDCClientSecret bench-secret
OIDCRedirectURI http://127.0.0.1:${port}/callback
OIDCCryptoPassphrase a-long-random-passphrase-of-this-bench
OIDCScope "openid profile email"
OIDCPKCEMethod S256
OIDCSessionType server-cache
OIDCCacheType shm

<Location />
  AuthType openid-connect
  Require valid-user
</Location>
<Location /api>
  RequestHeader set Authorization "Bearer %{OIDC_access_token}e"
  ProxyPass ${upstream.url}/api
</Location>
`

/** Apache with mod_auth_openidc and its session in shared memory (its default and fastest cache). */
export function modAuthOpenidcPeer({ upstream, folder, core, port, issuer }) {
  let child
  return {
    name: 'Apache + mod_auth_openidc',
    key: 'mod-auth-openidc',
    guarded: true,
    async start() {
      const modules = '/usr/lib/apache2/modules'
      debianPart([`${modules}/mod_auth_openidc.so`], packages)
      const program = debianPart(['/usr/sbin/apache2'], packages)
      const home = join(folder, 'apache')
      mkdirSync(home, { mode: 0o777 })
      writeFileSync(join(home, 'apache.conf'), configuration({ home, modules, port, upstream, issuer }))
      const args = ['-D', 'FOREGROUND', '-f', join(home, 'apache.conf')]
      child = start(program, args, { core, log: join(home, 'out.log') })
      await ready(child, port)
      const url = `http://127.0.0.1:${port}`
      return { pid: child.pid, url, cookie: await signIn(`${url}/api/orders`) }
    },
    stop: async () => child?.stop(),
  }
}

modAuthOpenidcPeer.redirectPath = '/callback'
