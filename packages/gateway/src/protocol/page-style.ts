/**
 * The look of the gateway's own pages: a ticket of the coat check. One constant, so that the Content-Security-Policy can
 * allow exactly this style by its hash and nothing else.
 */
export const STYLE = `
:root{color-scheme:light dark;--ground:#f3efe8;--paper:#fffdf9;--ink:#25211c;--soft:#6b6359;--line:#d9d0c3;--accent:#8c2f39;--on-accent:#fff}
@media (prefers-color-scheme:dark){:root{--ground:#171513;--paper:#221f1c;--ink:#f1ece4;--soft:#a89f93;--line:#423c35;--accent:#e58a8f;--on-accent:#2a1214}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1rem/1.6 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{display:flex;width:100%;max-width:38rem;background:var(--paper);border:1px solid var(--line);border-radius:1rem;box-shadow:0 1px 2px #0001,0 1.5rem 3rem -1.5rem #0004;overflow:hidden}
.stub{flex:none;margin:0;padding:2rem 1.1rem;color:var(--accent);font:700 1.5rem/1 ui-monospace,SFMono-Regular,Menlo,monospace;letter-spacing:.2em;writing-mode:vertical-rl;transform:rotate(180deg);border-left:2px dashed var(--line);text-align:center}
.text{padding:2rem 2rem 1.5rem;min-width:0;flex:1}
h1{margin:0 0 .5rem;font-size:1.4rem;line-height:1.25;letter-spacing:-.01em;text-wrap:balance}
p{margin:0 0 1.25rem}
a{color:var(--accent);text-underline-offset:.2em}
:is(a,.button,.field):focus-visible{outline:3px solid var(--accent);outline-offset:3px;border-radius:.4rem}
.actions{display:flex;flex-wrap:wrap;gap:.75rem 1rem;align-items:center}
.button{display:inline-block;padding:.55rem 1.1rem;border-radius:.6rem;background:var(--accent);color:var(--on-accent);font:inherit;font-weight:600;text-decoration:none;border:0;cursor:pointer}
.button:hover{filter:brightness(1.08)}
.field{display:block;width:100%;margin-top:.4rem;padding:.55rem .7rem;border:1px solid var(--soft);border-radius:.6rem;background:var(--ground);color:var(--ink);font:inherit}
.small{margin:0;padding-top:1rem;border-top:1px solid var(--line);color:var(--soft);font-size:.8125rem;overflow-wrap:anywhere}
code{font:.9em ui-monospace,SFMono-Regular,Menlo,monospace}
.brief{animation:appear .2s .6s both}
@keyframes appear{from{opacity:0}}
@media (max-width:28rem){main{flex-direction:column}.stub{padding:1rem;border:0;border-bottom:2px dashed var(--line);writing-mode:horizontal-tb;transform:none}.text{padding:1.5rem}}
@media (forced-colors:active){.button{border:1px solid}}
`

/** base64(SHA-256(STYLE)); a test computes it anew. No crypto here: this folder also runs where there is no node:. */
export const STYLE_HASH = 'Ja3qTdgbC+X9GZnOSplhmIm7LDL2gvyoj57ffAfkhR8='
