/** No proxy at all: what the load generator and the API reach between themselves. */
export function upstreamPeer({ upstream }) {
  return {
    name: 'upstream, no proxy',
    key: 'upstream',
    start: async () => ({ pid: upstream.pid, url: upstream.url, cookie: '' }),
    stop: async () => {},
  }
}
