/** What JSON can carry: claims come from providers and are shown to the browser as they came. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [name: string]: Json
}
