// Bundle plotly.js with the traces of the report alone: node build.mjs FILE
// The settings are those of plotly.js's own bundles (its esbuild-config.js).
import { createRequire } from "node:module";
import esbuild from "esbuild";
import { environmentPlugin } from "esbuild-plugin-environment";
import { glsl } from "esbuild-plugin-glsl";
import inlineCss from "esbuild-plugin-inline-css";

const TRACES = ["bar", "heatmap", "scattergl"]; // scatter is part of every bundle
const { version } = createRequire(import.meta.url)("plotly.js/package.json");
const traces = TRACES.map((trace) => `require("plotly.js/lib/${trace}")`);

await esbuild.build({
  stdin: {
    contents: `const Plotly = require("plotly.js/lib/core"); Plotly.register([${traces}]); module.exports = Plotly;`,
    resolveDir: import.meta.dirname,
  },
  outfile: process.argv[2],
  banner: { js: `/* plotly.js v${version}: scatter, ${TRACES.join(", ")}. Copyright 2012-2026, Plotly, Inc. MIT license. */` },
  format: "iife",
  globalName: "Plotly",
  bundle: true,
  minify: true,
  charset: "ascii",
  target: "es2016",
  plugins: [inlineCss(), glsl({ minify: true }), environmentPlugin({ NODE_DEBUG: false })],
  alias: { regl: "@plotly/regl", stream: "stream-browserify" },
  define: { global: "window", "define.amd": "false" },
});
