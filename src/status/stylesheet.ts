/**
 * How the pages look. Enters: nothing. Leaves: one style sheet and one icon. Invariants: light and dark by what the reader's system prefers; readable
 * from 360 px on, where tables become cards; nothing is fetched from elsewhere.
 */
export const stylesheet = `
:root {
  color-scheme: light dark;
  --paper: #f6f7f5; --sheet: #ffffff; --ink: #1c2421; --soft: #5a6661; --edge: #dde2de; --row: #f3f5f2;
  --brand: #0d6b5e; --link: #0a5f8a;
  --good: #17683a; --good-paper: #e1f3e6; --bad: #a3261d; --bad-paper: #fbe6e3; --warn: #7a5200; --warn-paper: #fdf0d2;
  --quiet: #59645f; --quiet-paper: #e9edea; --line: #0d8070; --area: #0d807026;
  --free: #c3cdc7; --reserved: #8fb7d6; --offered: #e0b04a; --assigned: #0d8070; --quarantined: #c98383;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #131816; --sheet: #1c2320; --ink: #e6ece8; --soft: #9eaba5; --edge: #313b37; --row: #222a27;
    --brand: #5ccdb8; --link: #7cc4ee;
    --good: #86dba4; --good-paper: #17382380; --bad: #ff9d92; --bad-paper: #4a1f1b80; --warn: #f1c86c; --warn-paper: #42330f80;
    --quiet: #a7b3ad; --quiet-paper: #2a332f; --line: #5ccdb8; --area: #5ccdb82e;
    --free: #46524c; --reserved: #3f6c8f; --offered: #a67a1e; --assigned: #2fa692; --quarantined: #8a4a4a;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
}
a { color: var(--link); }
header {
  display: flex; flex-wrap: wrap; align-items: center; gap: 8px 20px; padding: 10px 20px;
  background: var(--sheet); border-bottom: 1px solid var(--edge);
}
.brand { display: flex; align-items: center; gap: 8px; font-weight: 700; font-size: 17px; color: var(--ink); text-decoration: none; }
nav { display: flex; flex-wrap: wrap; gap: 2px; }
nav a { padding: 6px 10px; border-radius: 6px; text-decoration: none; color: var(--soft); }
nav a:hover { background: var(--quiet-paper); }
nav a[aria-current="page"] { color: var(--brand); font-weight: 600; background: var(--quiet-paper); }
form { display: flex; gap: 6px; }
.search { flex: 1 1 260px; max-width: 460px; margin-left: auto; }
.search input { flex: 1; min-width: 0; }
input, button {
  font: inherit; color: inherit; padding: 6px 10px; border: 1px solid var(--edge); border-radius: 6px; background: var(--paper);
}
input:focus-visible, button:focus-visible, a:focus-visible { outline: 2px solid var(--brand); outline-offset: 1px; }
button { background: var(--brand); border-color: var(--brand); color: var(--sheet); cursor: pointer; }
main { max-width: 1280px; margin: 0 auto; padding: 16px 20px 32px; }
h1 { margin: 4px 0 14px; font-size: 24px; line-height: 1.2; overflow-wrap: anywhere; }
h2 { margin: 0 0 8px; font-size: 16px; }
section { margin: 0 0 18px; padding: 14px 16px; background: var(--sheet); border: 1px solid var(--edge); border-radius: 10px; }
main > .table { padding: 6px 16px; background: var(--sheet); border: 1px solid var(--edge); border-radius: 10px; }
.sentence { margin: 0 0 18px; padding: 14px 16px; font-size: 17px; border-radius: 10px; border-left: 5px solid; overflow-wrap: anywhere; }
.sentence.good { background: var(--good-paper); border-color: var(--good); }
.sentence.warn { background: var(--warn-paper); border-color: var(--warn); }
.sentence.bad { background: var(--bad-paper); border-color: var(--bad); }
.sentence.held { font-size: 15px; }
.told { margin: -8px 0 18px; color: var(--soft); overflow-wrap: anywhere; }
.place { padding: 8px 0 4px; border-bottom: 1px solid var(--edge); }
.place:last-child { border-bottom: 0; }
.place p { margin: 2px 0 6px; }
.pair { display: inline-block; margin-right: 14px; overflow-wrap: anywhere; }
.whole, .whole .badge { white-space: nowrap; overflow-wrap: normal; }
.whole { display: inline-flex; flex-wrap: wrap; }
code, .code { font: 13px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.code { color: var(--soft); font-size: 12px; }
@media (min-width: 701px) { td.fixed { white-space: nowrap; } td.word { min-width: 88px; } td.name { min-width: 158px; } td:has(.code) ~ td:has(.badge) { min-width: 150px; } tr:has(.code) td:has(> span > a) { min-width: 110px; } }
.badge { display: inline-block; margin: 1px 4px 1px 0; padding: 0 8px; border-radius: 9px; font-size: 13px; overflow-wrap: anywhere; }
.badge.good { color: var(--good); background: var(--good-paper); }
.badge.bad { color: var(--bad); background: var(--bad-paper); }
.badge.warn { color: var(--warn); background: var(--warn-paper); }
.badge.quiet { color: var(--quiet); background: var(--quiet-paper); }
.health { margin: 0 0 12px; }
.note, .empty { color: var(--soft); margin: 4px 0; font-size: 13px; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(185px, 1fr)); gap: 12px; margin-bottom: 18px; }
.card { padding: 12px 14px; background: var(--sheet); border: 1px solid var(--edge); border-radius: 10px; }
.card h2 { font-size: 13px; font-weight: 500; color: var(--soft); margin: 0; min-height: 38px; }
.figure { margin: 2px 0 6px; font-size: 26px; font-weight: 650; font-variant-numeric: tabular-nums; min-height: 38px; }
.chart { display: block; width: 100%; height: 56px; border-bottom: 1px solid var(--edge); }
.chart .line { fill: none; stroke: var(--line); stroke-width: 1.6; }
.chart .area { fill: var(--area); }
.share { display: block; width: 100%; min-width: 120px; height: 10px; border-radius: 5px; background: var(--quiet-paper); }
rect.free { fill: var(--free); } rect.reserved { fill: var(--reserved); } rect.offered { fill: var(--offered); }
rect.assigned { fill: var(--assigned); } rect.quarantined { fill: var(--quarantined); }
.key { display: inline-block; width: 9px; height: 9px; border-radius: 2px; margin-right: 6px; }
.key.free { background: var(--free); } .key.reserved { background: var(--reserved); } .key.offered { background: var(--offered); }
.key.assigned { background: var(--assigned); } .key.quarantined { background: var(--quarantined); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 0 12px; align-items: start; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 10px 16px; margin: 0 0 18px; padding: 14px 16px;
  background: var(--sheet); border: 1px solid var(--edge); border-radius: 10px; }
.facts dt { color: var(--soft); font-size: 13px; }
.facts dd { margin: 0; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 500; font-size: 13px; color: var(--soft); padding: 4px 10px; border-bottom: 1px solid var(--edge); white-space: nowrap; }
td > span, dd, h1, .sentence, .badge { unicode-bidi: isolate; }
td { padding: 5px 10px; border-bottom: 1px solid var(--row); vertical-align: top; overflow-wrap: anywhere; min-width: 60px; }
tr:last-child td { border-bottom: 0; }
th:first-child, td:first-child { padding-left: 0; }
th.number, td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
time { white-space: nowrap; font-variant-numeric: tabular-nums; }
.filter { max-width: 520px; margin-bottom: 14px; }
.filter input { flex: 1; min-width: 0; }
.counts { margin: 0 0 12px; }
.counts a { text-decoration: none; }
.block { display: block; }
section > .facts { margin: 0; padding: 0; border: 0; }
.day { align-items: end; flex-wrap: wrap; margin-bottom: 8px; }
footer { padding: 0 20px 24px; color: var(--soft); font-size: 13px; text-align: center; }
@media (max-width: 700px) {
  header, main { padding-left: 12px; padding-right: 12px; }
  .search { max-width: none; margin: 0; }
  nav a { padding: 6px 8px; }
  .figures { grid-template-columns: 1fr 1fr; gap: 8px; }
  .card { padding: 10px; }
  .figure { font-size: 21px; min-height: 31px; }
  .facts { grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); }
  .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards table, .cards tbody, .cards tr, .cards td { display: block; }
  .cards tr { padding: 8px 0; border-bottom: 1px solid var(--edge); }
  .cards tr:last-child { border-bottom: 0; }
  .cards td, .cards td.number { display: flex; gap: 10px; padding: 1px 0; border: 0; text-align: left; white-space: normal; }
  .cards td::before { content: attr(data-label); flex: 0 0 108px; color: var(--soft); font-size: 13px; }
  .cards td > span { flex: 1; min-width: 0; }
  .cards td.blank, .cards td:has(.sent) { display: none; }
}
`.trimStart();

export const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0d6b5e"/><path d="M6 8h20M6 24h20" stroke="#fff" stroke-width="2.4" stroke-linecap="round"/><path d="M10 8v16M22 8v16" stroke="#fff" stroke-width="2.4"/><path d="M10 17h12" stroke="#8fe3d2" stroke-width="4"/></svg>`;
