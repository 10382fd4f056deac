const hints: Readonly<Record<string, string>> = {
  EADDRINUSE: 'is taken; write another port, or end who has it',
  EACCES: 'may not be used by this user; write a port from 1024 on, or allow it',
  EADDRNOTAVAIL: 'is no address of this machine; write one that is, or 0.0.0.0 for all',
}

/**
 * Waits for a listener, and says in the words of the configuration why there is none.
 * @throws Error with the `code` of the system
 */
export async function listening<Port>(
  section: 'listen' | 'admin',
  { host, port }: { readonly host: string; readonly port: number },
  starting: Promise<Port>,
): Promise<Port> {
  try {
    return await starting
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const hint = code === undefined ? undefined : hints[code]
    if (hint === undefined) throw error
    const at = `${host.includes(':') ? `[${host}]` : host}:${port}`
    throw Object.assign(new Error(`${section}: ${at} ${hint} (${code})`, { cause: error }), { code })
  }
}
