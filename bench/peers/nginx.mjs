import { startNginx } from '../lib/nginx.mjs'
import { freePort } from '../lib/process.mjs'

/** A bare reverse proxy in C: the floor. */
export function nginxPeer({ upstream, folder, core }) {
  let child
  return {
    name: 'nginx, bare reverse proxy',
    key: 'nginx',
    async start() {
      const port = await freePort()
      child = await startNginx({
        name: 'nginx-proxy',
        folder,
        core,
        port,
        http: `  upstream api { server ${new URL(upstream.url).host}; keepalive 128; keepalive_requests 100000000; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location /api/ {
      proxy_pass http://api;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }`,
      })
      return { pid: child.pid, url: `http://127.0.0.1:${port}`, cookie: '' }
    },
    stop: async () => child?.stop(),
  }
}
