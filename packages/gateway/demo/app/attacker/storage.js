/** What the browser keeps for this origin and hands to any script of the page. */

import { text } from './window.js'

/** @returns {{ where: string, text: string }[]} */
export function webStorage(storage) {
  return Object.keys(storage).map((key) => ({ where: key, text: `${key}=${storage.getItem(key)}` }))
}

/** By both doors: `document.cookie` and the newer `cookieStore`. HttpOnly cookies come out of neither. */
export async function cookies() {
  const pairs = document.cookie.split('; ').filter(Boolean)
  const more = (await globalThis.cookieStore?.getAll()) ?? []
  const all = new Set([...pairs, ...more.map(({ name, value }) => `${name}=${value}`)])
  return [...all].map((pair) => ({ where: pair.split('=')[0], text: pair }))
}

/** Every record of every store of every database. */
export async function indexedDatabases() {
  const places = []
  for (const { name } of (await indexedDB.databases?.()) ?? []) {
    const db = await promised(indexedDB.open(name))
    for (const store of db.objectStoreNames) {
      const records = db.transaction(store).objectStore(store)
      const [keys, values] = await Promise.all([promised(records.getAllKeys()), promised(records.getAll())])
      values.forEach((value, i) => {
        places.push({ where: `${name} › ${store} › ${text(keys[i])}`, text: text(value) })
      })
    }
    db.close()
  }
  return places
}

/** Every answer in Cache Storage, and the scripts of registered service workers. */
export async function cachesAndWorkers() {
  const places = []
  for (const name of (await globalThis.caches?.keys()) ?? []) {
    const cache = await caches.open(name)
    for (const request of await cache.keys()) {
      const response = await cache.match(request)
      const head = [...(response?.headers ?? [])].flat().join('\n')
      places.push({ where: `${name} › ${request.url}`, text: `${request.url}\n${head}\n${await response?.text()}` })
    }
  }
  for (const worker of (await navigator.serviceWorker?.getRegistrations()) ?? []) {
    places.push({ where: `service worker ${worker.scope}`, text: worker.active?.scriptURL ?? '' })
  }
  return places
}

function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
