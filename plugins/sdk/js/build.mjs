/**
 * Makes a component of a plugin, for `weir plugin build`:
 *
 *     node sdk/build.mjs MAIN WIT RESULT WORLD [http]
 *
 * in the plugin's folder, with its packages installed. MAIN and all that it imports become one file
 * (esbuild), and that becomes a component around a JavaScript engine which has already run it
 * (componentize-js). TypeScript is checked first.
 */

import { componentize } from "@bytecodealliance/componentize-js";
import { build } from "esbuild";
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { createRequire, SourceMap } from "node:module";
import { dirname, join } from "node:path";

/** What would make the engine import wasi:http, whether the plugin uses it or not. */
const DISABLED = ["http", "fetch-event"];

/** What the SDK's glue makes of the plugin, by the world of the contract. */
const ENTRIES = {
  operator: `
    export const { configurable, handler } = component(plugin, () => weirLineMap);
  `,
  "stateful-operator": `
    import * as state from "weir:state/state@0.2.0";
    import * as timers from "weir:state/timers@0.2.0";
    export const { configurable, handler, timerHandler } =
      component(plugin, () => weirLineMap, { state, timers });
  `,
  aggregator: `
    import { aggregator } from "./sdk/aggregator.js";
    export const { configurable, aggregation } = aggregator(plugin, () => weirLineMap);
  `,
};

/** What a plugin that sends requests has besides, and what one that does not. */
const HTTP = `
  import * as httpTypes from "wasi:http/types@0.2.12";
  import { handle } from "wasi:http/outgoing-handler@0.2.12";
  import { connect } from "./sdk/http_host.js";
  connect(httpTypes, handle);
`;
const NO_HTTP = `
  import { disconnect } from "./sdk/http_host.js";
  disconnect();
`;

const [main, wit, result, world, http] = process.argv.slice(2);

try {
  if (/\.[cm]?ts$/.test(main)) await check();
  const { component } = await componentize(await bundle(), {
    sourceName: "bundle.js",
    witPath: wit,
    worldName: http ? "with-http" : world,
    disableFeatures: DISABLED,
  });
  await writeFile(result, component);
} catch (error) {
  // What esbuild has to say, it has said already, in its own form.
  if (!error.errors) console.error(error.message);
  process.exitCode = 1;
}

/** One file with the plugin and the SDK in it, and for its exceptions, where each line is from. */
async function bundle() {
  const { outputFiles } = await build({
    stdin: {
      contents: `
        ${http ? HTTP : NO_HTTP}
        import { component } from "./sdk/component.js";
        import * as plugin from ${JSON.stringify(`./${main}`)};
        ${ENTRIES[world]}
      `,
      resolveDir: process.cwd(),
      sourcefile: "sdk/entry.js",
    },
    bundle: true,
    write: false,
    format: "esm",
    platform: "neutral",
    mainFields: ["module", "main"],
    external: ["wasi:*", "weir:*"],
    charset: "utf8",
    legalComments: "none",
    sourcemap: "external",
    outfile: "bundle.js",
    logLevel: "warning",
  });
  const text = (extension) => outputFiles.find(({ path }) => path.endsWith(extension)).text;
  const code = text(".js");
  return `${code}var weirLineMap = ${JSON.stringify(lineMap(code, JSON.parse(text(".map"))))};\n`;
}

/** Where each line of the bundle is from, as `component.js` reads it. */
function lineMap(code, map) {
  const sources = new SourceMap(map);
  let last = "";
  const places = code.split("\n").map((line, index) => {
    const found = sources.findEntry(index, line.search(/\S|$/));
    if (found.generatedLine !== index) return ":";
    const file = found.originalSource === last ? "" : found.originalSource;
    last = found.originalSource;
    return `${file.replaceAll(" ", "%20")}:${found.originalLine + 1}`;
  });
  return places.join(" ");
}

/** The types of a plugin in TypeScript. */
async function check() {
  const folder = dirname(createRequire(join(process.cwd(), "x")).resolve("typescript/package.json"));
  const options = ["--noEmit", "--pretty", String(process.stderr.isTTY === true)];
  const said = await new Promise((done) => {
    const tsc = [join(folder, "bin/tsc"), ...options];
    execFile(process.execPath, tsc, (error, stdout, stderr) => done(error && stdout + stderr));
  });
  if (said !== null) throw new Error(said.trim() || "the types cannot be checked");
}
