/**
 * Small charts as SVG, drawn on the server. Enters: a series. Leaves: markup without script and without style of its own. Invariants: the numbers are
 * in the text beside it too, for who cannot see it; it is as wide as its place.
 */
import { html } from 'hono/html';
import type { Markup } from './layout.js';

/** The drawing's own units; it is stretched to its place. */
const WIDTH = 360;
const HEIGHT = 56;

/**
 * An area under a line, from zero up.
 *
 * @param values oldest first; at least two, or nothing is drawn
 * @param label what it shows, for a reader that speaks
 */
export function areaChart(values: readonly number[], label: string): Markup {
  if (values.length < 2) return html`<div class="chart empty"></div>`;
  const most = Math.max(...values, Number.MIN_VALUE);
  const step = WIDTH / (values.length - 1);
  const points = values.map((value, index) => {
    const height = (value / most) * (HEIGHT - 4);
    return `${(index * step).toFixed(1)},${(HEIGHT - 1 - height).toFixed(1)}`;
  });
  const line = points.join(' ');
  return html`<svg
    class="chart"
    viewBox="0 0 ${WIDTH} ${HEIGHT}"
    preserveAspectRatio="none"
    role="img"
    aria-label="${label}"
  >
    <polygon class="area" points="0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}" />
    <polyline class="line" points="${line}" vector-effect="non-scaling-stroke" />
  </svg>`;
}

/** A bar of parts of a whole. */
export function shareBar(parts: readonly { readonly kind: string; readonly value: number }[], label: string): Markup {
  const whole = parts.reduce((sum, part) => sum + part.value, 0);
  if (whole === 0) return html`<div class="share empty"></div>`;
  let at = 0;
  const bars = parts.map(({ kind, value }) => {
    const width = (value / whole) * 100;
    const bar = html`<rect class="${kind}" x="${at.toFixed(2)}" y="0" width="${width.toFixed(2)}" height="8" />`;
    at += width;
    return bar;
  });
  return html`<svg class="share" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="${label}">
    ${bars}
  </svg>`;
}
