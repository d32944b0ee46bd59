
// ---- classes of cells ------------------------------------------------------------------------------------------------
const MOST_BARS = 40;

function percent(share) { return share === null || Number.isNaN(share) ? "" : `${(100 * share).toFixed(1)} %`; }

// One entry per treatment: its cells, and of each class the number of cells, their share, and the shares of single wells.
function classRows() {
  const found = data.classes;
  return found.names.map((name, n) => {
    const cells = found.counts[n].reduce((sum, one) => sum + one, 0);
    return { name, negative: found.negative[n], cells, unclassified: found.unclassified[n], wells: found.wells[n], counts: found.counts[n],
      shares: found.counts[n].map((one) => (cells ? one / cells : null)), low: found.low[n], high: found.high[n] };
  });
}

function drawClasses() {
  const found = data.classes;
  if (!found) return;
  show("classes");
  if (found.message) {
    byId("class-lead").replaceWith(element("p", found.message, "warning"));
    byId("class-order").parentElement.hidden = true;
    return;
  }
  byId("class-lead").textContent = "The share of the cells of a treatment to which microsnoop classify gave each class, all of its wells " +
    "together; point at a bar for the lowest and the highest share of one well. The table counts cells. Compare with the negative controls; " +
    "wells whose cells were examples look clearer than others.";
  byId("class-legend").replaceChildren(...found.classes.map((word, k) => legendEntry({ word, color: PALETTE[k % PALETTE.length] })));
  const rows = classRows(), total = (key) => rows.reduce((sum, row) => sum + row[key], 0);
  const controls = rows.some((row) => row.negative) ? "Negative controls (\u25CB) come first. " : "";
  byId("class-note").textContent = controls + [
    total("unclassified") ? `Not counted: ${count(total("unclassified"), "cells")} without a class (features are missing).` : "",
    found.other ? `Left out: ${count(found.other, "cells")} of other wells, or without a treatment.` : "",
  ].filter(Boolean).join(" ");
  fill(byId("class-order"), ["name", ...found.classes]);
  byId("class-order").value = found.classes.length > 1 ? 1 : 0;
  const draw = () => {
    const key = Number(byId("class-order").value) - 1, byName = (a, b) => a.name.localeCompare(b.name, undefined, { numeric: true });
    rows.sort((a, b) => b.negative - a.negative || (key < 0 ? 0 : (b.shares[key] ?? -1) - (a.shares[key] ?? -1)) || byName(a, b));
    const shown = rows.slice(0, MOST_BARS), place = shown.map((_, n) => n);
    const label = (row) => (NARROW && row.name.length > 16 ? `${row.name.slice(0, 15)}\u2026` : row.name) + (row.negative ? " \u25CB" : "");
    Plotly.react("class-plot", found.classes.map((name, k) => ({
      type: "bar", orientation: "h", name, y: place, x: shown.map((row) => 100 * (row.shares[k] || 0)),
      text: shown.map((row) => `${row.name}<br>${name}: ${row.counts[k]} of ${count(row.cells, "cells")}, ${percent(row.shares[k])}` +
        (row.wells > 1 && row.low[k] !== null ? `<br>${row.wells} wells, ${percent(row.low[k])} to ${percent(row.high[k])}` : "")),
      hovertemplate: "%{text}<extra></extra>", textposition: "none", marker: { color: PALETTE[k % PALETTE.length] },
    })), layout({
      barmode: "stack", height: 110 + 22 * shown.length, margin: { l: 60, r: 12, t: 44, b: 60 }, bargap: 0.2,
      title: { font: { size: 13 }, x: 0.02, xanchor: "left",
        text: `${rows.length > MOST_BARS ? `${MOST_BARS} of ` : ""}${count(rows.length, "treatments")}, ${count(total("cells"), "cells")}` },
      xaxis: { title: { text: "% of the cells" }, range: [0, 100] }, showlegend: false,
      yaxis: { tickvals: place, ticktext: shown.map(label), autorange: "reversed", automargin: true, tickfont: { size: NARROW ? 9 : 11 }, zeroline: false },
    }), CONFIG);
    fillTable("class-table", ["treatment", "wells", "cells", ...found.classes], rows.map((row) => [row.name + (row.negative ? " \u25CB" : ""),
      row.wells === null ? "" : String(row.wells), String(row.cells), ...row.shares.map((share, k) => row.counts[k] + (share === null ? "" : ` (${percent(share)})`))]));
  };
  byId("class-order").onchange = draw;
  draw();
}

TABLES.classes = () => (data.classes.message ? [] : classRows().flatMap((row) => data.classes.classes.map((name, k) => ({
  treatment: row.name, negative_control: row.negative, class: name, cells: row.counts[k], share: row.shares[k], classified: row.cells,
  unclassified: row.unclassified, wells: row.wells, lowest_share_of_a_well: row.low[k], highest_share_of_a_well: row.high[k] }))));
