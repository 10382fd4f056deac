/**
 * What a browser of today sends with an API call, 1 KB without the session cookie. Every peer gets the same bytes,
 * apart from the port in Referer and its own session cookie.
 */
export function apiHeaders(origin, cookie) {
  const analytics = [
    '_ga=GA1.1.1436275041.1752499182; _ga_5T8K2W7QJX=GS2.1.s1763855000$o41$g1$t1763855874$j52$l0$h0',
    'theme=dark; locale=de-CH; consent=v2.necessary.statistics.2026-03-02T09:14:55Z; _fbp=fb.1.1752499182552.83120',
    'ab_checkout=variant-b; last_project=7f3c2a1e-9b0d-4e55',
  ].join('; ')
  return {
    'User-Agent':
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36',
    Accept: 'application/json, text/plain, */*',
    'Accept-Language': 'de-CH,de;q=0.9,en-GB;q=0.8,en;q=0.7,fr;q=0.6',
    'Accept-Encoding': 'gzip, deflate, br, zstd',
    'Cache-Control': 'no-cache',
    Pragma: 'no-cache',
    Referer: `${origin}/projects/7f3c2a1e/orders?status=open&sort=-created&page=3`,
    'sec-ch-ua': '"Not;A=Brand";v="99", "Google Chrome";v="139", "Chromium";v="139"',
    'sec-ch-ua-mobile': '?0',
    'sec-ch-ua-platform': '"Linux"',
    'Sec-Fetch-Dest': 'empty',
    'Sec-Fetch-Mode': 'cors',
    'Sec-Fetch-Site': 'same-origin',
    'X-Client-Version': 'web-2026.11.3+build.48213',
    'X-CSRF': '1',
    Cookie: cookie ? `${analytics}; ${cookie}` : analytics,
  }
}
