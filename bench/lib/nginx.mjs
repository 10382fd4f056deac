import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { debianPart } from './parts.mjs'
import { ready, start } from './process.mjs'

export const nginxProgram = () => debianPart(['/usr/sbin/nginx', '/usr/local/sbin/nginx'], ['nginx-light'])

/** Starts an nginx of one worker in a folder of its own. `http` is the inside of its http block. */
export async function startNginx({ name, folder, core, port, http }) {
  const home = join(folder, name)
  mkdirSync(home, { recursive: true })
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${home}/${kind};`)
    .join('\n')
  writeFileSync(
    join(home, 'nginx.conf'),
    `daemon off;
worker_processes 1;
${process.getuid() === 0 ? 'user root;' : ''}
pid ${home}/nginx.pid;
error_log ${home}/error.log warn;
events { worker_connections 4096; }
http {
${temporary}
  access_log off;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
${http}
}
`,
  )
  const child = start(nginxProgram(), ['-p', home, '-c', join(home, 'nginx.conf')], {
    core,
    log: join(home, 'out.log'),
  })
  await ready(child, port)
  return child
}
