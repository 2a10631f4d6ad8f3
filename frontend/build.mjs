// The bundles of nbcontainer/view/static: one a view, and widget.js, the few lines that load them.
// `node build.mjs` writes them; `node build.mjs --check` says whether those in the repository are what it would write.
import { build } from "esbuild";
import { readFile, readdir, rm } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { basename, join } from "node:path";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = join(here, "../nbcontainer/view/static");
const LIMIT = 1.5e6;

const entries = (await readdir(join(here, "src/views"))).filter((name) => name.endsWith(".ts"));
const { outputFiles } = await build({
  absWorkingDir: here,
  entryPoints: ["src/widget.ts", ...entries.map((name) => `src/views/${name}`)],
  entryNames: "[name]",
  outdir: target,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  loader: { ".css": "text" },
  logLevel: "warning",
  write: false,
});

const check = process.argv.includes("--check");
const { writeFile, mkdir } = await import("node:fs/promises");
await mkdir(target, { recursive: true });
let total = 0;
let stale = [];
for (const file of outputFiles) {
  total += file.contents.length;
  const kept = await readFile(file.path).catch(() => Buffer.alloc(0));
  if (!kept.equals(Buffer.from(file.contents))) stale.push(basename(file.path));
  if (!check) await writeFile(file.path, file.contents);
  console.log(`${basename(file.path).padEnd(16)}${(file.contents.length / 1000).toFixed(1).padStart(8)} kB`);
}
const made = new Set(outputFiles.map((file) => basename(file.path)));
for (const name of await readdir(target)) {
  if (made.has(name) || !name.endsWith(".js")) continue;
  stale.push(name);
  if (!check) await rm(join(target, name));
}
console.log(`${"all".padEnd(16)}${(total / 1000).toFixed(1).padStart(8)} kB`);
if (total > LIMIT) {
  console.error(`The bundles are larger than ${LIMIT / 1000} kB in all.`);
  process.exitCode = 1;
}
if (check && stale.length) {
  console.error(`Not what the sources give: ${stale.join(", ")}. \`npm run build\` in frontend/ makes them anew.`);
  process.exitCode = 1;
}
