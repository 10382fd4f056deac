import { expect, test } from 'vitest'
import { listening } from '../../src/node/listening.ts'

const failing = (code: string) => Promise.reject(Object.assign(new Error(`listen ${code}`), { code }))

test.each([
  ['EADDRINUSE', '127.0.0.1', 'listen: 127.0.0.1:8443 is taken; write another port, or end who has it (EADDRINUSE)'],
  [
    'EACCES',
    '0.0.0.0',
    'listen: 0.0.0.0:8443 may not be used by this user; write a port from 1024 on, or allow it (EACCES)',
  ],
  [
    'EADDRNOTAVAIL',
    '2001:db8::1',
    'listen: [2001:db8::1]:8443 is no address of this machine; write one that is, or 0.0.0.0 for all (EADDRNOTAVAIL)',
  ],
])('%s: which listener, where, and what to write instead', async (code, host, message) => {
  await expect(listening('listen', { host, port: 8443 }, failing(code))).rejects.toMatchObject({ message, code })
})

test('any other failure is told as it is', async () => {
  await expect(listening('admin', { host: '::', port: 1 }, failing('EMFILE'))).rejects.toThrow('listen EMFILE')
})
