/*
 * Ids of requests and handles of sessions are random letters: a short word stands in one of them by chance, three letters
 * once in some ten thousand. What must not be in a text is looked for so that chance does not find it.
 */

/** How a JWT begins whose header begins with `alg`, as those of every provider here do; and any JWT with its first dot. */
export const jwtStart = /eyJhbGci|eyJ[\w-]+\./

/** An answer, or a part of it, without the id of its request. */
export function withoutRequestId(text: string): string {
  return text.replace(/(x-request-id[:\s]+|"requestId":"|Request <code>)[\w-]+/gi, '$1')
}
