// Loaded into the measured gateway before its own code: SIGUSR2 collects the garbage, so that what is left is in use.
process.on('SIGUSR2', () => {
  for (let i = 0; i < 3; i += 1) globalThis.gc()
})
