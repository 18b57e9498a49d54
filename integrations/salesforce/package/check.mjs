/**
 * Reads the source project with Salesforce's own converter and compares the result with what the product deploys.
 *
 *   node check.mjs           fails when a file belongs to no known component, or when `../metadata` is not what comes out
 *   node check.mjs --write   writes `../metadata` anew
 *
 * Needs no org and no network.
 */
import { cp, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

// Nothing here may talk to anybody, or write a log into the home folder.
process.env.SF_DISABLE_TELEMETRY = "true";
process.env.SF_DISABLE_LOG_FILE = "true";
const { ComponentSet, MetadataConverter } = (await import("@salesforce/source-deploy-retrieve")).default;

const HERE = path.dirname(fileURLToPath(import.meta.url));
const COMMITTED = path.join(HERE, "..", "metadata");
const PARTS = { base: "force-app", orders: "force-app-orders" };
const write = process.argv.includes("--write");

/** Every file below a folder, as paths relative to it, sorted; nothing when the folder is missing. */
async function files(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** The files that a component consists of, those of its children included. */
function filesOf(component) {
  return [component, ...component.getChildren()].flatMap((one) => [one.xml, ...one.walkContent()]).filter(Boolean);
}

/** Converts one package directory into `target`; answers with what is wrong with it. */
async function convert(directory, version, target) {
  const source = path.join(HERE, directory);
  const set = ComponentSet.fromSource(source);
  set.sourceApiVersion = version;
  const claimed = new Set(set.getSourceComponents().toArray().flatMap(filesOf));
  const problems = (await files(source))
    .filter((file) => !claimed.has(path.join(source, file)))
    .map((file) => `${directory}/${file}: belongs to no component`);
  await new MetadataConverter().convert(set, "metadata", {
    type: "directory",
    outputDirectory: target,
    genUniqueDir: false,
  });
  return problems;
}

/** What differs between two folders, one line per file. */
async function differences(expected, actual, label) {
  const names = [...new Set([...(await files(expected)), ...(await files(actual))])].sort();
  const found = [];
  for (const name of names) {
    const [left, right] = await Promise.all(
      [expected, actual].map((folder) => readFile(path.join(folder, name)).catch(() => null)),
    );
    if (left === null || right === null || !left.equals(right)) found.push(`${label}/${name}: differs; npm run convert`);
  }
  return found;
}

const project = JSON.parse(await readFile(path.join(HERE, "sfdx-project.json"), "utf8"));
const work = await mkdtemp(path.join(tmpdir(), "salesforce-package-"));
try {
  const problems = [];
  for (const [part, directory] of Object.entries(PARTS)) {
    const target = path.join(work, part);
    const committed = path.join(COMMITTED, part);
    problems.push(...(await convert(directory, project.sourceApiVersion, target)));
    if (write) {
      await rm(committed, { recursive: true, force: true });
      await cp(target, committed, { recursive: true });
    } else {
      problems.push(...(await differences(target, committed, `metadata/${part}`)));
    }
  }
  for (const problem of problems) console.error(problem);
  if (problems.length) process.exitCode = 1;
  else console.log(write ? "metadata written" : "package and metadata agree");
} catch (error) {
  // The converter says which file it cannot place; where in its own code does not help anybody.
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await rm(work, { recursive: true, force: true });
}
