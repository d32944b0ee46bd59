"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
// Okabe and Ito's colors, which color-blind people tell apart, then more for many categories.
const PALETTE = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8a90e", "#5d4ea8", "#8c564b", "#17becf",
  "#7f7f7f", "#aec7e8", "#98df8a", "#ff9896", "#c5b0d5"];
const SYMBOLS = ["circle", "diamond", "square", "triangle-up", "cross"];
const NARROW = window.innerWidth < 700;
const CONFIG = { responsive: true, displaylogo: false, displayModeBar: NARROW ? false : "hover",
  modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"] };
const FEW_POINTS = 3000; // which are drawn as SVG: sharper, and without WebGL
const FONT = { family: "system-ui, Segoe UI, Roboto, sans-serif", size: 12, color: "#1c2733" };

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function decimals(value) { return value.toFixed(2).replace(/^-(0\.00)$/, "$1"); }

function count(number, things) { return `${number} ${number === 1 ? things.replace(/s$/, "") : things}`; }

function show(id) { byId(id).hidden = false; }

function fill(select, names) { names.forEach((name, number) => select.add(new Option(name, number))); }

function layout(changes) {
  return Object.assign({
    font: FONT, margin: { l: 50, r: 12, t: 34, b: 44 }, hovermode: "closest", plot_bgcolor: "#fff",
    paper_bgcolor: "rgba(0,0,0,0)", legend: { orientation: "h", y: -0.2, font: { size: 11 } },
    modebar: { bgcolor: "rgba(255,255,255,0.7)", color: "#9aa5b1", activecolor: "#0b6e99" },
  }, changes);
}

// ---- figures -------------------------------------------------------------------------------------------------------
function interval({ low, high }) { return low === null ? "(no interval)" : `(${low.toFixed(2)} to ${high.toFixed(2)})`; }

function drawScores() {
  if (!data.scores.length) return;
  show("scores");
  byId("score-note").textContent = "In brackets: the 95 % interval." + (data.sample ? ` Of ${data.sample}.` : "");
  for (const score of data.scores) {
    const card = element("div", undefined, "score");
    card.append(element("h3", score.name));
    const value = element("div", score.after.value.toFixed(2), "value");
    value.append(element("span", ` ${interval(score.after)}`, "before"));
    card.append(value);
    const counted = score.after.counted;
    if (score.before !== null && score.before.value !== null) {
      const { before } = score, change = (score.after.value - before.value) * (score.higher_is_better ? 1 : -1);
      const word = Math.abs(change) < 0.005 ? "" : change > 0 ? "better" : "worse";
      if (word) value.classList.add(word);
      const other = before.counted === counted ? "" : `, ${before.counted}`;
      card.append(element("div", `before the correction ${before.value.toFixed(2)} ${interval(before)}${other}`, "before"));
    }
    card.append(element("div", counted, "before"));
    const chance = score.chance === null ? "" : `; by chance ${score.chance.toFixed(2)}`;
    card.append(element("p", `${score.meaning} (${score.higher_is_better ? "higher" : "lower"} is better${chance})`));
    byId("score-cards").append(card);
  }
}

// ---- maps and the point that was clicked -----------------------------------------------------------------------------
function traces(points, color) {
  const common = { type: data.map_rows.length > FEW_POINTS ? "scattergl" : "scatter", mode: "markers", x: points.x, y: points.y };
  const hover = "%{text}<extra></extra>";
  if (color === undefined) {
    const text = data.map_rows.map((row) => data.names[row]);
    return [{ ...common, text, customdata: data.map_rows, hovertemplate: hover, marker: { size: 8, color: PALETTE[0] } }];
  }
  if (color.numbers) {
    const numbers = data.map_rows.map((row) => color.numbers[row]);
    const text = data.map_rows.map((row) => `${data.names[row]}<br>${color.name} ${color.numbers[row]}`);
    const bar = { thickness: 10, len: 0.8, title: { text: color.name, side: "right" } };
    return [{ ...common, text, customdata: data.map_rows, hovertemplate: hover,
      marker: { size: 8, color: numbers, colorscale: "Viridis", colorbar: bar, line: { width: 0.5, color: "#fff" } } }];
  }
  const words = [...new Set(data.map_rows.map((row) => color.words[row]))].sort(
    (a, b) => a.localeCompare(b, undefined, { numeric: true }));
  return words.map((word, number) => {
    const at = data.map_rows.map((row, n) => n).filter((n) => color.words[data.map_rows[n]] === word);
    const control = at.every((n) => data.negative[data.map_rows[n]]);
    return {
      ...common, name: word, x: at.map((n) => points.x[n]), y: at.map((n) => points.y[n]),
      customdata: at.map((n) => data.map_rows[n]), text: at.map((n) => `${data.names[data.map_rows[n]]}<br>${word}`),
      hovertemplate: hover, showlegend: words.length <= 24,
      marker: control ? { size: 7, color: "#9aa5b1", symbol: "circle-open", line: { width: 1.5 } } : {
        size: 8, color: PALETTE[number % PALETTE.length], line: { width: 0.5, color: "#fff" },
        symbol: SYMBOLS[Math.floor(number / PALETTE.length) % SYMBOLS.length],
      },
    };
  });
}

function drawMaps() {
  if (!data.maps.length) return;
  show("map");
  const kinds = Object.keys(data.maps[0].kinds);
  fill(byId("map-kind"), kinds);
  byId("map-kind").value = kinds.indexOf("UMAP") >= 0 ? kinds.indexOf("UMAP") : 0;
  byId("map-kind-label").hidden = kinds.length < 2;
  fill(byId("map-color"), data.colors.map((color) => color.name));
  const plots = data.maps.map(() => byId("map-plots").appendChild(element("div")));
  const draw = () => data.maps.forEach((map, number) => {
    const points = map.kinds[kinds[byId("map-kind").value]];
    if (!points) return;
    const axis = (title) => ({ title: { text: title, font: { size: 11 } }, zeroline: false, showticklabels: false });
    const title = NARROW ? map.title.replace(": ", "<br>") : map.title;
    // below the buttons, which would cover it
    const below = { yref: "paper", y: 1, yanchor: "bottom", pad: { b: 6 } };
    const all = layout({ title: { text: title, font: { size: NARROW ? 13 : 14 }, x: 0.06, xanchor: "left", ...(NARROW ? {} : below) }, height: 460,
      xaxis: axis(points.axes[0]), yaxis: axis(points.axes[1]), margin: { l: 32, r: 8, t: NARROW ? 44 : 60, b: 40 } });
    all.legend = { orientation: "h", y: -0.1, font: { size: 11 } };
    Plotly.react(plots[number], [...traces(points, data.colors[byId("map-color").value]), ...rings(points)], all, CONFIG);
  });
  draw();
  drawMaps.again = draw;
  plots.forEach((plot) => plot.on("plotly_click", (event) => select(event.points[0].customdata)));
  byId("map-color").onchange = draw;
  byId("map-kind").onchange = draw;
  byId("details").append(element("p", data.has_thumbnails
    ? "Click a point, or a well of a plate, to see some of its cells and what it is."
    : "Click a point, or a well of a plate, to see what it is.", "note"));
}

function select(row) {
  const details = byId("details");
  details.replaceChildren(element("h3", data.names[row]));
  if (data.thumbnails[row]) {
    const picture = element("img");
    picture.src = data.thumbnails[row];
    picture.alt = `some cells of ${data.names[row]}`;
    details.append(picture, element("p", data.thumbnail_note, "note"));
  } else if (data.has_thumbnails) {
    details.append(element("p", "There is no picture of this one.", "note"));
  }
  const list = element("dl");
  for (const [name, values] of Object.entries(data.metadata)) {
    if (values[row] === null) continue;
    list.append(element("dt", name), element("dd", String(values[row])));
  }
  details.append(list);
  const treatment = data.treatment && data.treatment[row];
  if (data.nearest && data.nearest[treatment]) {
    details.append(element("p", `Most similar to ${treatment}: ` +
      data.nearest[treatment].slice(0, 4).map(([name, cosine]) => `${name} (${decimals(cosine)})`).join(", "), "note"));
  }
  if (treatment && activityOf(treatment)) details.append(element("p", `${treatment}: ${activityOf(treatment, true)}`, "note"));
  details.dataset.row = row;
}

// ---- plates ----------------------------------------------------------------------------------------------------------
function letters(row) { return (row >= 26 ? letters(Math.floor(row / 26) - 1) : "") + String.fromCharCode(65 + row % 26); }

function featureValues(number) {
  const { low, high, names } = data.features, count = data.names.length;
  if (!featureValues.bytes) featureValues.bytes = Uint8Array.from(atob(data.features.bytes), (c) => c.charCodeAt(0));
  const steps = featureValues.bytes.subarray(number * count, (number + 1) * count);
  return Array.from(steps, (step) => step === 255 ? null : low[number] + step / 254 * (high[number] - low[number]));
}

function plateTitle(plate) {
  const shown = plate.wells.reduce((total, well) => total + well.members.length, 0);
  const counted = count(plate.wells.length, "wells") + (shown > plate.wells.length ? `, ${count(shown, data.rows)}` : "");
  return `${plate.name}: ${counted}` + (data.sample ? `<br><span style="font-size:11px">${data.sample}</span>` : "");
}

// ---- the title of a figure: how many rows it shows
function counted(text) {
  return { text: text + (data.sample ? `${NARROW ? "<br>" : " "}(${data.sample})` : ""), font: { size: 13 }, x: 0.02, xanchor: "left" };
}

function drawPlates() {
  if (!data.plates.length) return;
  show("plates");
  const quantity = byId("plate-quantity"), feature = byId("plate-feature");
  const worded = data.colors.filter((color) => color.words);
  fill(quantity, [...data.quantities.map((q) => q.name), ...(data.features ? ["A feature"] : []), ...worded.map((color) => color.name)]);
  if (data.features) data.features.names.forEach((name) => byId("feature-names").append(new Option(name)));
  const plots = data.plates.map(() => byId("plate-plots").appendChild(element("div")));
  const chosen = () => {
    const first = data.quantities.length + (data.features ? 1 : 0);
    const one = data.quantities[quantity.value] || worded[quantity.value - first];
    byId("plate-feature-label").hidden = Boolean(one);
    if (one) return one.words ? codes(one) : one;
    const number = Math.max(data.features.names.indexOf(feature.value), 0);
    feature.value = data.features.names[number];
    return { name: feature.value, numbers: featureValues(number), note: "a single feature; to a 255th of its range" };
  };
  const draw = () => {
    const one = chosen();
    byId("plate-note").replaceChildren(...(one.legend ? one.legend.map(legendEntry) : [one.note]));
    drawPlates.shown = one;
    const known = one.numbers.filter((value) => value !== null);
    const range = [Math.min(...known), Math.max(...known)];
    data.plates.forEach((plate, number) => {
      const grid = () => Array.from({ length: plate.rows }, () => Array(plate.columns).fill(null));
      const z = grid(), text = grid(), members = grid();
      for (const well of plate.wells) {
        const values = well.members.map((member) => one.numbers[member]).filter((value) => value !== null);
        const mean = !values.length ? null : one.legend ? values[0] : values.reduce((a, b) => a + b) / values.length;
        z[well.row][well.column] = mean;
        members[well.row][well.column] = well.members[0];
        text[well.row][well.column] = `${data.names[well.members[0]]}<br>${one.name}: ` +
          (one.legend ? wordOf(one, well) : mean === null ? "no features" : mean.toPrecision(4)) +
          (data.treatment && data.treatment[well.members[0]] ? `<br>${data.treatment[well.members[0]]}` : "");
      }
      const step = plate.columns > 24 ? 4 : plate.columns > 12 ? 2 : 1;
      Plotly.react(plots[number], [{
        type: "heatmap", z, text, customdata: members, hovertemplate: "%{text}<extra></extra>", hoverongaps: false,
        x: z[0].map((_, column) => column + 1), y: z.map((_, row) => letters(row)), xgap: 1, ygap: 1,
        colorscale: one.scale || "Viridis", zmin: one.legend ? 0 : range[0], zmax: one.legend ? one.legend.length : range[1],
        showscale: !one.legend, colorbar: { thickness: 10, len: 0.9 },
      }], layout({
        title: { text: plateTitle(plate), font: { size: 14 } }, height: Math.min(Math.max(150 + 220 * plate.rows / plate.columns * 1.5, 240), 460),
        xaxis: { side: "top", dtick: step, tick0: 1, constrain: "domain", showgrid: false, zeroline: false, fixedrange: true },
        yaxis: { autorange: "reversed", dtick: plate.rows > 16 ? 2 : 1, scaleanchor: "x", constrain: "domain", showgrid: false, fixedrange: true },
        margin: { l: 30, r: 8, t: data.sample ? 80 : 60, b: 12 }, plot_bgcolor: "#eceff3",
      }), { ...CONFIG, displayModeBar: false });
    });
  };
  draw();
  plots.forEach((plot) => plot.on("plotly_click", (event) => {
    const member = event.points[0].customdata;
    if (member !== null) { select(member); byId("details").scrollIntoView({ block: "nearest" }); }
  }));
  quantity.onchange = draw;
  feature.onchange = draw;
}

// ---- doses, replicates, neighbors, sphering -------------------------------------------------------------------------
function drawDoses() {
  if (!data.doses) return;
  show("dose");
  const { x, y, kind, what, dose, note } = data.doses;
  byId("dose-lead").textContent = (what === "Position between controls"
    ? "0 is the mean of the negative controls, 1 that of the positive ones."
    : "From the mean of the negative controls; 1 is a usual control well.") + note;
  const kinds = [...new Set(kind)].sort((a, b) => a.includes("controls") - b.includes("controls") || a.localeCompare(b));
  const treated = x.filter((value, n) => !kind[n].includes("controls") && value !== null);
  const different = [...new Set(treated)].sort((a, b) => a - b);
  const logarithmic = different.length > 3 && different[0] > 0 && different[different.length - 1] / different[0] > 30;
  Plotly.newPlot("dose-plot", kinds.map((name, number) => {
    const at = kind.map((k, n) => n).filter((n) => kind[n] === name && y[n] !== null);
    const control = name.includes("controls");
    return {
      type: "scatter", mode: "markers", name, y: at.map((n) => y[n]),
      x: at.map((n) => control ? (name.startsWith("negative") ? "neg." : "pos.") : String(x[n])), text: at.map((n) => data.names[n]),
      customdata: at, hovertemplate: "%{text}<br>%{y:.3g}<extra></extra>",
      marker: { size: 8, opacity: 0.85, color: control ? (name.startsWith("negative") ? "#9aa5b1" : "#d55e00") : PALETTE[number % PALETTE.length],
        symbol: control ? "diamond" : "circle" },
    };
  }), layout({
    title: counted(count(y.filter((value, n) => value !== null && (x[n] !== null || kind[n].includes("controls"))).length, data.rows)),
    height: NARROW ? 460 : 400, yaxis: { title: { text: what } }, legend: { orientation: "h", y: NARROW ? -0.3 : -0.2, font: { size: 11 } },
    xaxis: { type: "category", title: { text: dose + (logarithmic ? " (steps, not to scale)" : "") },
      categoryarray: ["neg.", ...different.map(String), "pos."] },
  }), CONFIG);
  byId("dose-plot").on("plotly_click", (event) => select(event.points[0].customdata));
}

function drawReplicates() {
  if (!data.replicates) return;
  show("replicates");
  const { after, before } = data.replicates;
  const order = after.names.map((_, n) => n).sort((a, b) => after.similarity[a] - after.similarity[b]);
  const few = order.length <= 60;
  const y = (part) => order.map((n, place) => few ? part.names[n] : place);
  const trace = (part, name, color) => ({
    type: "scatter", mode: "markers", name, x: order.map((n) => part.similarity[n]), y: y(part), marker: { size: 8, color },
    text: order.map((n) => part.names[n]), hovertemplate: "%{text}<br>%{x:.3f}<extra></extra>",
  });
  const line = (part, color) => ({ type: "line", x0: part.threshold, x1: part.threshold, y0: 0, y1: 1, yref: "paper",
    line: { color, dash: "dot", width: 1.5 } });
  const traces = [trace(after, before ? "after the correction" : "replicates", PALETTE[0])], shapes = [line(after, PALETTE[0])];
  if (before && before.names.length === after.names.length) {
    traces.unshift(trace(before, "before the correction", "#b8c4d0"));
    shapes.unshift(line(before, "#b8c4d0"));
  }
  Plotly.newPlot("replicate-plot", traces, layout({
    height: few ? Math.max(280, 130 + 20 * order.length) : 440, shapes, margin: { l: few ? 150 : 40, r: 12, t: NARROW ? 94 : 74, b: 44 },
    title: { ...counted(`${count(order.length, "treatments")}, ${count(after.rows, data.rows)}`), yref: "container", y: 1, yanchor: "top", pad: { t: 16 } },
    xaxis: { title: { text: "median cosine of replicates" } }, legend: { orientation: "h", y: 1.01, yanchor: "bottom" },
    yaxis: few ? { automargin: true, dtick: 1 } : { showticklabels: false, title: { text: "treatments" } },
  }), CONFIG);
}

function drawNearest() {
  if (!data.nearest) return;
  show("nearest");
  const names = Object.keys(data.nearest), choice = byId("nearest-choice");
  fill(choice, names);
  const draw = () => {
    const rows = data.nearest[names[choice.value]].map(([name, cosine, members]) => {
      const row = element("tr"), cell = element("td"), bar = element("span", undefined, "bar");
      bar.style.setProperty("--length", Math.max(cosine, 0));
      cell.append(bar, decimals(cosine));
      row.append(element("td", name), cell, element("td", activityOf(name)), element("td", `mean of ${count(members, data.rows)}`));
      return row;
    });
    byId("nearest-table").replaceChildren(...rows);
    byId("nearest-own").textContent = activityOf(names[choice.value], true);
  };
  byId("nearest-note").textContent = data.sample;
  const treated = data.treatment.find((name, row) => name && !data.negative[row]);
  choice.value = Math.max(names.indexOf(treated), 0);
  choice.onchange = draw;
  draw();
}

function drawSphering() {
  if (!data.sphering.length) return;
  show("sphering");
  const heads = { group: "group", method: "method", n: "controls", p: "features", rank: "rank", condition: "condition",
    regularization: "regularization", epsilon: "epsilon", variance_kept: "variance whitened" };
  const head = element("tr");
  Object.values(heads).forEach((text) => head.append(element("th", text)));
  const rows = data.sphering.map((entry) => {
    const row = element("tr");
    for (const key of Object.keys(heads)) {
      const value = entry[key];
      const text = key === "variance_kept" ? `${(100 * value).toFixed(1)} %`
        : key === "regularization" && Number.isFinite(Number(value)) ? number3(Number(value))
        : typeof value === "number" && !Number.isInteger(value) ? value.toPrecision(3) : String(value);
      row.append(element("td", text));
    }
    return row;
  });
  byId("sphering-table").replaceChildren(head, ...rows);
  data.sphering.filter((entry) => entry.warning).forEach((entry) =>
    byId("sphering-warnings").append(element("p", `${entry.group}: ${entry.warning}`, "warning")));
}
