
// ---- active treatments -----------------------------------------------------------------------------------------------
function tested() { return data.activity && !data.activity.message ? data.activity : null; }

function shortP(p) { return p < 0.001 ? "p < 0.001" : `p = ${p.toFixed(3)}`; }

function activityOf(name, long) {
  const found = tested(), n = found ? found.names.indexOf(name) : -1;
  if (n < 0) return "";
  if (found.active[n] === null) return `not tested: ${found.note[n]}`;
  const rate = long ? `, false discovery rate ${found.q[n].toPrecision(2)}` : "";
  return `${found.active[n] ? "active" : "not active"} (${shortP(found.p[n])}${rate})`;
}

function drawActivity() {
  if (!data.activity) return;
  show("activity");
  if (data.activity.message) {
    byId("activity-lead").replaceWith(element("p", data.activity.message, "warning"));
    return;
  }
  const found = data.activity, at = found.names.map((_, n) => n).filter((n) => found.active[n] !== null);
  const active = at.filter((n) => found.active[n]), when = found.when ? ` Tested on the features ${found.when}.` : "";
  byId("activity-lead").textContent = `Replicates of an active treatment are more like each other than like the negative controls ` +
    `(permutation test of the mean average precision, false discovery rate at most ${found.fdr}).${when}`;
  const untested = found.names.length - at.length, few = found.note.filter((note) => note.startsWith("so few")).length;
  byId("activity-note").textContent = [
    untested ? `${count(untested, "treatments")} not tested: ${[...new Set(found.note.filter((_, n) => found.active[n] === null))].join("; ")}.` : "",
    few ? `${count(few, "treatments")} have so few rows that they cannot become active.` : "",
    "A treatment far from the controls without replicates that agree is not active; one near to them can be.",
  ].filter(Boolean).join(" ");
  const trace = (name, members, color) => ({
    type: "scatter", mode: "markers", name: `${name} (${members.length})`, x: members.map((n) => found.distance[n]),
    y: members.map((n) => -Math.log10(found.p[n])), customdata: members.map((n) => data.treatment.indexOf(found.names[n])),
    text: members.map((n) => `${found.names[n]}<br>${shortP(found.p[n])}, mAP ${found.map[n].toFixed(2)}, ${count(found.rows[n], data.rows)}` +
      (found.cells && found.cells[n] !== null ? `<br>objects ${found.cells[n] > 0 ? "+" : ""}${found.cells[n].toFixed(0)} %` : "")),
    hovertemplate: "%{text}<extra></extra>", marker: { size: 9, opacity: 0.85, color },
  });
  Plotly.newPlot("activity-plot", [
    trace("active", active, PALETTE[4]), trace("not active", at.filter((n) => !found.active[n]), "#9aa5b1"),
  ], layout({
    height: 420, title: counted(`${count(at.length, "treatments")}, ${count(at.reduce((sum, n) => sum + found.rows[n], 0), data.rows)}`),
    xaxis: { title: { text: NARROW ? "distance from the controls" : "distance from the controls (1: a usual control)" }, type: "log" },
    yaxis: { title: { text: "−log10 p" }, rangemode: "tozero" }, margin: { l: 50, r: 12, t: 34, b: 50 }, legend: { orientation: "h", y: -0.22 },
  }), CONFIG);
  byId("activity-plot").on("plotly_click", (event) => { if (event.points[0].customdata >= 0) select(event.points[0].customdata); });
}

function number3(value) { return value === null ? "" : String(Number(value.toPrecision(3))); }

function drawCurves() {
  const found = tested();
  if (!found || !found.curves.length) return;
  show("curves");
  const { curves } = found, choice = byId("curve-choice");
  byId("curve-lead").textContent = `${found.response} against the dose. Hill's curve where it fits, with the dose of half the effect ` +
    `(EC50) and its 95 % interval; else the best monotone curve, without an EC50.${found.when ? ` From the features ${found.when}.` : ""}`;
  fill(choice, curves.map((curve) => curve.name));
  const draw = () => {
    const curve = curves[choice.value], ec50 = curve.ec50 === null ? "" :
      `EC50 ${number3(curve.ec50)} (${number3(curve.low)} to ${number3(curve.high)}). `;
    byId("curve-note").textContent = `${ec50}${curve.note ? `${curve.note}. ` : ""}${count(curve.rows, data.rows)} at ${count(curve.doses, "doses")}.`;
    const shapes = curve.ec50 === null ? [] : [
      { type: "rect", x0: curve.low, x1: curve.high, y0: 0, y1: 1, yref: "paper", fillcolor: PALETTE[1], opacity: 0.18, line: { width: 0 } },
      { type: "line", x0: curve.ec50, x1: curve.ec50, y0: 0, y1: 1, yref: "paper", line: { color: PALETTE[1], dash: "dot", width: 1.5 } },
    ];
    const points = { type: "scatter", mode: "markers", name: data.rows, x: curve.x, y: curve.y, marker: { size: 8, color: PALETTE[0], opacity: 0.8 },
      hovertemplate: "%{x}: %{y:.3g}<extra></extra>" };
    const line = curve.line && { type: "scatter", mode: "lines", name: curve.kind === "hill" ? "Hill's curve" : "monotone curve",
      x: curve.line.x, y: curve.line.y, line: { color: PALETTE[4], width: 2 }, hoverinfo: "skip" };
    Plotly.react("curve-plot", line ? [points, line] : [points], layout({
      height: 380, shapes, title: counted(`${curve.name}: ${count(curve.rows, data.rows)}`), yaxis: { title: { text: found.response } },
      xaxis: { type: "log", title: { text: "dose" } }, legend: { orientation: "h", y: -0.22 },
    }), CONFIG);
  };
  const head = element("tr");
  ["compound", "curve", "EC50", "95 % interval", "rows", "note"].forEach((text) => head.append(element("th", text)));
  byId("curve-table").replaceChildren(head, ...curves.map((curve) => {
    const row = element("tr"), interval = curve.ec50 === null ? "" : `${number3(curve.low)} to ${number3(curve.high)}`;
    [curve.name, curve.kind, number3(curve.ec50), interval, String(curve.rows), curve.note].forEach((text) => row.append(element("td", text)));
    return row;
  }));
  choice.value = Math.max(curves.findIndex((curve) => curve.kind === "hill"), 0);
  choice.onchange = draw;
  draw();
}

// ---- clusters --------------------------------------------------------------------------------------------------------
function drawClusters() {
  if (!data.clusters) return;
  show("clusters");
  const { names, cosines } = data.clusters, few = names.length <= (NARROW ? 25 : 60), place = names.map((_, n) => n);
  const ticks = few ? { tickvals: place, ticktext: names.map((name) => name.length > 22 ? `${name.slice(0, 21)}…` : name) } : { showticklabels: false };
  Plotly.newPlot("cluster-plot", [{
    type: "heatmap", z: cosines.map((row) => row.map((value) => value / 100)), x: place, y: place, zmin: -1, zmax: 1,
    colorscale: "RdBu", reversescale: false, colorbar: { thickness: 10, len: 0.9 },
    text: names.map((a) => names.map((b) => `${a}<br>${b}`)), hovertemplate: "%{text}<br>%{z:.2f}<extra></extra>",
  }], layout({
    height: Math.min(few ? 170 + 16 * names.length : 640, 900), title: counted(count(names.length, "treatments")),
    xaxis: { ...ticks, tickangle: -60, showgrid: false, constrain: "domain", automargin: few && !NARROW, showticklabels: few && !NARROW },
    yaxis: { ...ticks, autorange: "reversed", showgrid: false, automargin: few, tickfont: { size: 10 } }, margin: { l: few ? 90 : 20, r: 8, t: 34, b: NARROW ? 20 : 44 },
  }), { ...CONFIG, displayModeBar: false });
}

// ---- cells of a treatment beside controls ----------------------------------------------------------------------------
const MOST_PICTURES = 6; // of a treatment, and of the controls

function drawMontage() {
  const pictured = data.treatment ? data.treatment.map((name, row) => row).filter((row) => data.thumbnails[row]) : [];
  const controls = pictured.filter((row) => data.negative[row]), treated = pictured.filter((row) => data.treatment[row] && !data.negative[row]);
  if (!controls.length || !treated.length) return;
  show("montage");
  const names = [...new Set(treated.map((row) => data.treatment[row]))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  byId("montage-lead").textContent = `Up to ${MOST_PICTURES} ${data.rows} of each; ${data.thumbnail_note}.`;
  const choice = byId("montage-choice");
  fill(choice, names);
  const column = (title, rows) => {
    const part = element("div"), shown = rows.slice(0, MOST_PICTURES);
    part.append(element("h3", `${title} (${shown.length} of ${count(rows.length, data.rows)})`));
    for (const row of shown) {
      const figure = element("figure"), picture = element("img");
      picture.src = data.thumbnails[row];
      picture.alt = `some cells of ${data.names[row]}`;
      figure.append(picture, data.names[row]);
      figure.onclick = () => select(row);
      part.append(figure);
    }
    return part;
  };
  const spread = (rows) => { // over the table, so that all plates are seen
    const step = Math.max(rows.length / MOST_PICTURES, 1);
    const first = Array.from({ length: Math.min(rows.length, MOST_PICTURES) }, (_, n) => rows[Math.floor(n * step)]);
    return [...first, ...rows.filter((row) => !first.includes(row))];
  };
  const draw = () => {
    const name = names[choice.value], rows = treated.filter((row) => data.treatment[row] === name), said = activityOf(name);
    byId("montage-pictures").replaceChildren(
      column(said ? `${name}, ${said}` : name, spread(rows)), column("negative controls", spread(controls)));
  };
  choice.onchange = draw;
  draw();
}

// ---- quality ---------------------------------------------------------------------------------------------------------
function drawQuality() {
  if (!data.quality) return;
  show("quality");
  byId("quality-lead").textContent = `${data.quality.flagged} of ${data.quality.image_sets} image sets are flagged by microsnoop qc: they ` +
    "differ from the rest of their plate. Look at them before they are left out. They are in this report unless a query left them out.";
  fillTable("quality-table", ["flag", "plate", "image sets", "ImageNumber"], data.quality.flags.map((one) => {
    const shown = one.images.slice(0, 12).join(", ");
    return [one.flag, one.plate, String(one.count), one.images.length > 12 ? `${shown}, ...` : shown];
  }));
  const objects = data.quality.objects;
  if (!objects) return;
  byId("object-quality-lead").textContent = `${objects.flagged} of ${count(objects.total, "objects")} are flagged: they seem to be no single ` +
    "whole cells, or lie at the edge of their image.";
  fillTable("object-quality-table", ["flag", "plate", "objects", "share of the plate"], objects.flags.map((one) => (
    [one.flag, one.plate, String(one.count), `${(100 * one.count / one.of).toFixed(1)} %`])));
}

function fillTable(id, names, rows) {
  const line = (kind, texts) => {
    const row = element("tr");
    texts.forEach((text) => row.append(element(kind, text)));
    return row;
  };
  byId(id).replaceChildren(...(rows.length ? [line("th", names)] : []), ...rows.map((texts) => line("td", texts)));
}

// ---- corrections -----------------------------------------------------------------------------------------------------
function drawCorrections() {
  if (!data.corrections) return;
  show("corrections");
  const known = data.corrections.filter((one) => one.replicates.value !== null), first = known[0];
  byId("correction-lead").textContent = "A good correction lies high (replicates of other batches are found, mean average precision) " +
    "and at or left of the dotted line (the nearest wells are of any batch, as by chance); bars are 95 % intervals. Points have the " +
    "numbers of the table. The best of many is flattered by the choice." +
    (first ? ` Replicates: ${count(first.replicates.rows, "wells")} of ${count(first.treatments, "treatments")}; ` +
      `batches: ${count(first.batch.rows, "wells")}, ` +
      `${first.chance.toFixed(2)} by chance.` : "");
  const bars = (key) => ({ type: "data", symmetric: false, thickness: 1, width: 0, color: "#b8c4d0",
    array: known.map((one) => one[key].high - one[key].value), arrayminus: known.map((one) => one[key].value - one[key].low) });
  Plotly.newPlot("correction-plot", [{
    type: "scatter", mode: "markers+text", x: known.map((one) => one.batch.value), y: known.map((one) => one.replicates.value),
    error_x: bars("batch"), error_y: bars("replicates"), text: known.map((one) => data.corrections.indexOf(one) + 1), textposition: "top right",
    textfont: { size: 11 }, customdata: known.map((one) => one.name), hovertemplate: "%{customdata}<br>replicates %{y:.2f}, batch %{x:.2f}<extra></extra>", marker: { size: 9, color: known.map((one) => one.name === "none" ? PALETTE[4] : PALETTE[0]) },
  }], layout({
    height: 440, title: counted(count(known.length, "corrections")), xaxis: { title: { text: "batch by neighbors" } }, yaxis: { title: { text: "mAP of replicates" } },
    shapes: first ? [{ type: "line", x0: first.chance, x1: first.chance, y0: 0, y1: 1, yref: "paper", line: { color: "#9aa5b1", dash: "dot", width: 1.5 } }] : [],
    showlegend: false,
  }), CONFIG);
  const head = element("tr"), value = (one) => one.value === null ? "" : `${one.value.toFixed(2)} (${one.low.toFixed(2)} to ${one.high.toFixed(2)})`;
  ["", "correction", "replicates", "batch", "note"].forEach((text) => head.append(element("th", text)));
  byId("correction-table").replaceChildren(head, ...data.corrections.map((one, n) => {
    const row = element("tr");
    [String(n + 1), one.name, value(one.replicates), value(one.batch), one.note].forEach((text) => row.append(element("td", text)));
    return row;
  }));
}

// ---- the difference of two groups, explained ------------------------------------------------------------------------
function drawExplained() {
  if (!data.explained || !data.explained.length) return;
  show("explained");
  const named = data.explained;
  byId("explained-lead").textContent = "Named features that go along with the axis between the groups of microsnoop explain (Spearman's " +
    "correlation, 95 % interval); to the right, they are larger in the first group. They name what goes along with the difference, " +
    "not its cause. Trust those that are far from 0 with narrow intervals.";
  const place = named.map((_, n) => n), broken = (name) => { // in two lines, at the underscore next to the middle
    const parts = name.split("_"), half = parts.findIndex((_, n) => parts.slice(0, n + 1).join("_").length > name.length / 2);
    return !NARROW || name.length < 20 || half < 1 ? name : `${parts.slice(0, half).join("_")}_<br>${parts.slice(half).join("_")}`;
  };
  Plotly.newPlot("explained-plot", [{
    type: "scatter", mode: "markers", x: named.map((one) => one.value), y: place, marker: { size: 9, color: PALETTE[0] },
    error_x: { type: "data", symmetric: false, thickness: 1.5, width: 0, color: "#9aa5b1",
      array: named.map((one) => one.high === null ? 0 : one.high - one.value), arrayminus: named.map((one) => one.low === null ? 0 : one.value - one.low) },
    text: named.map((one) => one.name), hovertemplate: "%{text}<br>%{x:.2f}<extra></extra>",
  }], layout({
    height: 140 + (NARROW ? 28 : 22) * named.length, title: counted(count(named.length, "features")), margin: { l: 60, r: 12, t: 44, b: 60 },
    xaxis: { title: { text: NARROW ? "correlation" : "correlation with the axis between the groups" }, range: [-1, 1] },
    yaxis: { tickvals: place, ticktext: named.map((one) => broken(one.name)), autorange: "reversed", automargin: true, tickfont: { size: NARROW ? 9 : 11 }, zeroline: false },
    showlegend: false,
  }), CONFIG);
  const head = element("tr"), value = (number) => number === null ? "" : decimals(number);
  ["feature", "correlation", "within the groups", "difference", "rows", "features like it"].forEach((text) => head.append(element("th", text)));
  byId("explained-table").replaceChildren(head, ...named.map((one) => {
    const row = element("tr"), range = one.low === null ? "" : ` (${value(one.low)} to ${value(one.high)})`;
    [one.name, value(one.value) + range, value(one.within), value(one.difference), String(one.rows), String(one.like)].forEach(
      (text) => row.append(element("td", text)));
    return row;
  }));
}

// ---- wells colored by words ------------------------------------------------------------------------------------------
function codes(color) {
  const words = [...new Set(color.words)].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const shade = (n) => PALETTE[n % PALETTE.length], steps = words.length;
  return {
    name: color.name, note: "", numbers: color.words.map((word) => words.indexOf(word) + 0.5), words: color.words,
    scale: words.flatMap((_, n) => [[n / steps, shade(n)], [(n + 1) / steps, shade(n)]]),
    legend: words.map((word, n) => ({ word, color: shade(n) })),
  };
}

function legendEntry({ word, color }) {
  const entry = element("span", undefined, "legend"), chip = element("i");
  chip.style.background = color;
  entry.append(chip, word);
  return entry;
}

function wordOf(color, well) { return [...new Set(well.members.map((member) => color.words[member]))].join(", "); }

// ---- search ----------------------------------------------------------------------------------------------------------
const chosen = { rows: new Set() };

function rings(points) {
  const at = data.map_rows.map((row, n) => n).filter((n) => chosen.rows.has(data.map_rows[n]));
  return !at.length ? [] : [{ type: "scatter", mode: "markers", name: chosen.name, x: at.map((n) => points.x[n]), y: at.map((n) => points.y[n]),
    hoverinfo: "skip", marker: { size: 17, color: "rgba(0,0,0,0)", symbol: "circle", line: { width: 2.5, color: "#1c2733" } } }];
}

function drawSearch() {
  const treatments = data.treatment ? [...new Set(data.treatment.filter(Boolean))] : [];
  const known = [...treatments, ...data.names];
  if (!known.length) return;
  show("search-label");
  known.slice(0, 5000).forEach((name) => byId("search-names").append(new Option(name)));
  byId("search").onchange = () => {
    const word = byId("search").value.trim().toLowerCase();
    const matching = (values) => values.map((value, row) => row).filter((row) => values[row] && values[row].toLowerCase() === word);
    const containing = (values) => values.map((value, row) => row).filter((row) => values[row] && values[row].toLowerCase().includes(word));
    const of = [matching(data.treatment || []), matching(data.names), containing(data.treatment || []), containing(data.names)];
    const rows = word ? of.find((found) => found.length) || [] : [];
    chosen.rows = new Set(rows);
    chosen.name = byId("search").value;
    byId("search").setCustomValidity(word && !rows.length ? "no treatment and no well has this name" : "");
    byId("search").reportValidity();
    if (drawMaps.again) drawMaps.again();
    if (!rows.length) return;
    select(rows[0]);
    const treatment = data.treatment && data.treatment[rows[0]], nearest = data.nearest ? Object.keys(data.nearest) : [];
    if (nearest.includes(treatment)) { byId("nearest-choice").value = nearest.indexOf(treatment); byId("nearest-choice").onchange(); }
    const montage = [...byId("montage-choice").options].findIndex((option) => option.text === treatment);
    if (montage >= 0) { byId("montage-choice").value = montage; byId("montage-choice").onchange(); }
    const curves = tested() ? tested().curves : [], curve = curves.findIndex(({ name }) => treatment && treatment.startsWith(name));
    if (curve >= 0) { byId("curve-choice").value = curve; byId("curve-choice").onchange(); }
    byId(data.maps.length ? "map" : "nearest").scrollIntoView({ block: "start" });
  };
}

// ---- the numbers of each section as CSV ------------------------------------------------------------------------------
function csv(rows) {
  const cell = (value) => value === null || value === undefined ? "" : /[",\n]/.test(String(value)) ? `"${String(value).replace(/"/g, '""')}"` : String(value);
  const heads = Object.keys(rows[0] || {});
  return [heads, ...rows.map((row) => heads.map((head) => row[head]))].map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function described(row) {
  return { name: data.names[row], treatment: data.treatment ? data.treatment[row] : null,
    ...Object.fromEntries(Object.entries(data.metadata).map(([name, values]) => [name, values[row]])) };
}

const TABLES = {
  scores: () => data.scores.map(({ name, after, before }) => ({ score: name, value: after.value, low: after.low, high: after.high,
    counted: after.counted, before: before && before.value, before_low: before && before.low, before_high: before && before.high })),
  map: () => data.map_rows.map((row, n) => ({ ...described(row), ...Object.fromEntries(data.maps.flatMap((map, number) =>
    Object.entries(map.kinds).flatMap(([kind, { x, y }]) => [[`map ${number + 1} ${kind} x`, x[n]], [`map ${number + 1} ${kind} y`, y[n]]]))) })),
  plates: () => data.names.map((_, row) => ({ ...described(row), ...Object.fromEntries(data.quantities.map((q) => [q.name, q.numbers[row]])),
    ...(data.quantities.includes(drawPlates.shown) || drawPlates.shown.words ? {} : { [drawPlates.shown.name]: drawPlates.shown.numbers[row] }) })),
  activity: () => !tested() ? [] : tested().names.map((name, n) => Object.fromEntries([["treatment", name],
    ...["rows", "controls", "map", "p", "q", "active", "distinct_p", "distinct_q", "distinct", "distance", "cells", "note"].map(
      (key) => [key, tested()[key] ? tested()[key][n] : null])])),
  curves: () => !tested() ? [] : tested().curves.flatMap((curve) => curve.x.map((x, n) => ({ compound: curve.name, dose: x, response: curve.y[n],
    curve: curve.kind, EC50: curve.ec50, low: curve.low, high: curve.high, note: curve.note }))),
  dose: () => data.doses.x.map((x, row) => ({ name: data.names[row], kind: data.doses.kind[row], dose: x, [data.doses.what]: data.doses.y[row] })),
  replicates: () => data.replicates.after.names.map((name, n) => ({ treatment: name, cosine: data.replicates.after.similarity[n],
    threshold: data.replicates.after.threshold })),
  nearest: () => Object.entries(data.nearest).flatMap(([name, others]) => others.map(([other, cosine, members]) => (
    { treatment: name, nearest: other, cosine, rows: members, activity: activityOf(other) }))),
  clusters: () => data.clusters.names.map((name, row) => ({ treatment: name,
    ...Object.fromEntries(data.clusters.names.map((other, column) => [other, data.clusters.cosines[row][column] / 100])) })),
  quality: () => [
    ...data.quality.flags.map(({ flag, plate, count, images }) => ({ flag, plate, image_sets: count, images: images.join(" "), objects: "", of: "" })),
    ...(data.quality.objects ? data.quality.objects.flags : []).map(({ flag, plate, count, of }) => (
      { flag, plate, image_sets: "", images: "", objects: count, of }))],
  explained: () => data.explained,
  corrections: () => data.corrections.map(({ name, replicates, batch, treatments, chance, note }) => ({ correction: name,
    replicates: replicates.value, replicates_low: replicates.low, replicates_high: replicates.high, wells: replicates.rows, treatments,
    batch: batch.value, batch_low: batch.low, batch_high: batch.high, batch_wells: batch.rows, batch_chance: chance, note })),
};

function addCsvLinks() {
  for (const [id, table] of Object.entries(TABLES)) {
    const section = byId(id);
    if (section.hidden || (id === "activity" && !tested())) continue;
    const link = element("a", "CSV", "csv");
    link.href = "#";
    link.title = "the numbers of this section";
    link.onclick = (event) => {
      event.preventDefault();
      const file = element("a");
      file.href = URL.createObjectURL(new Blob([csv(table())], { type: "text/csv" }));
      file.download = `${id}.csv`;
      file.click();
      URL.revokeObjectURL(file.href);
    };
    section.prepend(link);
  }
}

