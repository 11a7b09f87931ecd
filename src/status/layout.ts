/**
 * The frame around every page, and tables. Enters: content. Leaves: a whole document. Invariants: every value passes through a template that escapes
 * it; there is no script, and nothing is loaded from elsewhere.
 */
import { html } from 'hono/html';
import type { HeldChanges } from '../store/page-enforcement.js';
import type { Language } from './english.js';
import type { Format } from './format.js';

/** Markup that is escaped already; anything else that enters a template is escaped there. */
export type Markup = ReturnType<typeof html>;

/** What a page is shown with. */
export interface View {
  readonly language: Language;
  readonly format: Format;
  readonly timeZone: string;
  readonly instance: string;
  readonly nowMs: number;
  /** With {login}, {contract}, {id}; undefined: no link. */
  readonly billingUrl: string | undefined;
  /** What the fuse holds; undefined: nothing, or nobody can tell. */
  readonly held: HeldChanges | undefined;
}

export type Section = 'overview' | 'subscribers' | 'sessions' | 'leases' | 'devices' | 'nases' | 'pools' | 'setAside';

const places: readonly (readonly [Section, string])[] = [
  ['overview', '/'],
  ['subscribers', '/subscribers'],
  ['sessions', '/sessions'],
  ['leases', '/leases'],
  ['devices', '/devices'],
  ['nases', '/nas'],
  ['pools', '/pools'],
  ['setAside', '/set-aside'],
];

/** How often a page about the present is loaded again, s: as often as there is something new. */
const REFRESH_SECONDS = 10;

/** The whole document. */
export function documentOf(
  view: View,
  page: {
    readonly title: string;
    readonly section: Section | undefined;
    readonly refreshes?: boolean;
    readonly search?: string;
    readonly content: Markup | readonly Markup[];
  },
): Markup {
  const { text, code } = view.language;
  const links = places.map(
    ([section, path]) =>
      html`<a href="${path}" aria-current="${section === page.section ? 'page' : 'false'}">${text[section]}</a>`,
  );
  return html`<!doctype html>
    <html lang="${code}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <meta name="robots" content="noindex" />
        ${page.refreshes === true && html`<meta http-equiv="refresh" content="${REFRESH_SECONDS}" />`}
        <title>${page.title} · ${text.title}</title>
        <link rel="stylesheet" href="/style.css" />
        <link rel="icon" href="/icon.svg" type="image/svg+xml" />
      </head>
      <body>
        <header>
          <a class="brand" href="/"><img src="/icon.svg" alt="" width="24" height="24" />${text.title}</a>
          <nav>${links}</nav>
          ${searchForm(view, page.search ?? '')}
        </header>
        <main>
          ${heldBanner(view)}
          <h1>${page.title}</h1>
          ${page.content}
        </main>
        <footer>
          ${text.instance} ${view.instance} · ${view.format.instant(new Date(view.nowMs))} · ${text.readOnly}
          ${view.timeZone}.
        </footer>
      </body>
    </html>`;
}

/** While the fuse holds, every page says so: nothing else explains why a block does nothing. */
function heldBanner({ held, language, format }: View): Markup {
  if (held === undefined) return html``;
  return html`<p class="sentence bad held">
    ${language.enforcement.held(held, format)} <code>sluice hold release</code>
  </p>`;
}

function searchForm(view: View, search: string): Markup {
  const { text } = view.language;
  return html`<form class="search" action="/subscribers" method="get" role="search">
    <input
      type="search"
      name="q"
      value="${search}"
      maxlength="253"
      placeholder="${text.searchHint}"
      aria-label="${text.search}"
    />
    <button>${text.search}</button>
  </form>`;
}

/** One column of a table. */
export interface Column<Row> {
  readonly title: string;
  /** Numbers stand flush right. */
  readonly number?: boolean;
  /** Where there is room: `fixed` is never broken, for addresses and the like, whose length is known; `word` has room for one word, `name` for a name. */
  readonly room?: 'fixed' | 'word' | 'name';
  readonly cell: (row: Row) => Markup | string | number | null | undefined;
}

/**
 * A table; `empty` stands where there are no rows.
 *
 * @param shape `cards`: it becomes a list of cards where the screen is narrow; `small`: it is narrow enough as it is
 */
export function tableOf<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  empty: string,
  shape: 'cards' | 'small' = 'cards',
): Markup {
  if (rows.length === 0) return html`<p class="empty">${empty}</p>`;
  const kind = (column: Column<Row>): string => (column.number === true ? 'number' : (column.room ?? 'plain'));
  return html`<div class="table ${shape}">
    <table>
      <thead>
        <tr>
          ${columns.map((column) => html`<th scope="col" class="${kind(column)}">${column.title}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${columns.map((column) => {
                const cell = column.cell(row);
                const filled = cell === null || cell === undefined || cell === '' ? 'blank' : kind(column);
                return html`<td class="${filled}" data-label="${column.title}"><span>${cell}</span></td>`;
              })}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

/** A part of a page with a heading. */
export function sectionOf(title: string, content: Markup | readonly Markup[]): Markup {
  return html`<section>
    <h2>${title}</h2>
    ${content}
  </section>`;
}

/** Facts with their titles; those without a value are left out. */
export function factList(facts: readonly (readonly [title: string, value: Markup | string | null])[]): Markup {
  return html`<dl class="facts">
    ${facts
      .filter(([, value]) => value !== null && value !== '')
      .map(
        ([title, value]) =>
          html`<div>
            <dt>${title}</dt>
            <dd>${value}</dd>
          </div>`,
      )}
  </dl>`;
}

/** An instant, with how long ago it was. */
export function timeOf(view: View, at: Date | null): Markup | string {
  if (at === null) return '';
  return html`<time datetime="${at.toISOString()}" title="${view.format.ago(at)}">${view.format.instant(at)}</time>`;
}

/** A word in a coloured frame. */
export function badge(kind: 'good' | 'bad' | 'warn' | 'quiet', text: string): Markup {
  return html`<span class="badge ${kind}">${text}</span>`;
}

/** A link to a subscriber, or the plain login where nobody is known by it. */
export function subscriberLink(id: number | null, login: string): Markup {
  return id === null ? html`${login}` : html`<a href="/subscribers/${id}">${login}</a>`;
}
