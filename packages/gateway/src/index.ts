export { loadConfig } from './config/load.ts'
export type { Config } from './config/schema.ts'
export { type GatewayOptions, type RunningGateway, startGateway } from './start.ts'
