// What the packages promise elsewhere in the repository: the contract's codes and example, the sizes
// in the README, and the console's copy.
// @vitest-environment node
import { mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { describe, expect, it } from "vitest";
import { fromSources } from "../vite.shared.js";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const contract = read("../docs/contract.md");
const readme = read("README.md");

describe("the contract", () => {
  const ofType = (name: string) => {
    const type = read("client/src/errors.ts").split(`export type ${name} =`)[1]!.split(";")[0]!;
    return new Set([...type.matchAll(/"(\w+)"/g)].map((match) => match[1]));
  };

  it("has the codes of refusals that the client types", () => {
    const api = contract.split("\n## API\n")[1]!.split("\n## Objects\n")[0]!;
    const rows = [...api.matchAll(/^\| \d{3} \| (`\w+`(?:, `\w+`)*) \|/gm)];
    const codes = new Set(rows.flatMap((row) => [...row[1]!.matchAll(/`(\w+)`/g)].map((match) => match[1])));
    codes.delete("SignatureDoesNotMatch"); // S3's own
    codes.delete("AccessDenied");
    expect(ofType("RefusalCode")).toEqual(codes);
  });

  it("has the codes of rejections that the client types", () => {
    const table = contract.split("<!-- begin rejections -->")[1]!.split("<!-- end -->")[0]!;
    expect(ofType("RejectionCode")).toEqual(new Set([...table.matchAll(/^\| `(\w+)` \|/gm)].map((row) => row[1])));
  });

  it("has an example that uses nothing but what the client has", async () => {
    const example = contract.split("```ts\n")[1]!.split("```")[0]!;
    const { createClient, AvatarError } = await import("../client/src/index.js");
    const run = new Function(
      "createClient", "AvatarError", "token", "file", "image", "alert",
      `return (async () => {${example.replace(/^import.*$/m, "").replace("<api>", "http://127.0.0.1:9").replace("<assets>", "http://127.0.0.1:9")}})()`,
    );
    // Nothing is there to open a picture in Node.js, so that is where it ends
    await expect(run(createClient, AvatarError, "token", new Blob(["x"]), {}, () => {})).rejects.toThrow("Image is not defined");
  });
});

/** Sizes in bytes after gzip of what Vite makes of a module: of the entry, and of each file that it loads later. */
async function sizes(source: string, external: RegExp): Promise<{ entry: number; later: Record<string, number> }> {
  const result = await build({
    ...fromSources,
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [{ name: "entry", resolveId: (id) => (id === "entry" ? "\0entry" : null), load: (id) => (id === "\0entry" ? source : null) }],
    define: { "process.env.NODE_ENV": '"production"' },
    build: { write: false, target: "es2022", rolldownOptions: { input: "entry", preserveEntrySignatures: "strict", external: (id) => external.test(id) } },
  });
  const files = (Array.isArray(result) ? result[0]! : result as { output: unknown }).output as {
    type: string; isEntry?: boolean; code?: string; fileName: string; name?: string; imports?: string[]; dynamicImports?: string[];
  }[];
  const by = new Map(files.map((file) => [file.fileName, file]));
  const first = files.find(({ isEntry }) => isEntry)!;
  const eager = new Set<string>();
  const visit = (name: string) => {
    if (eager.has(name) || !by.has(name)) return;
    eager.add(name);
    by.get(name)!.imports?.forEach(visit);
  };
  visit(first.fileName);
  const size = (name: string) => gzipSync(by.get(name)!.code!, { level: 9 }).length;
  const later = files.filter((file) => file.type === "chunk" && !eager.has(file.fileName));
  return {
    entry: [...eager].reduce((sum, name) => sum + size(name), 0),
    later: Object.fromEntries(later.map((file) => [file.name ?? file.fileName, size(file.fileName)])),
  };
}

describe("sizes in kB after gzip", () => {
  const inReadme = (name: string) => {
    const row = readme.split("\n").find((line) => line.startsWith(`| ${name} |`));
    return Number(row?.match(/\| ([\d.]+) \|/)?.[1]);
  };
  // Each is said to a tenth; what the reader is told may be off by a twentieth
  const expectSaid = (name: string, bytes: number) =>
    expect(Math.abs(inReadme(name) - bytes / 1000), `${name}: ${(bytes / 1000).toFixed(1)} kB`).toBeLessThan(0.1 + bytes / 20_000);

  it("of the client are at most 6, and its HEIC decoder loads later", async () => {
    const { entry, later } = await sizes('export * from "@avatar-ops/client"', /^$/);
    expect(entry).toBeLessThan(6000);
    expectSaid("`@avatar-ops/client`", entry);
    expect(Object.keys(later)).toEqual(["heic-to"]);
    expectSaid("HEIC decoder (heic-to)", later["heic-to"]!);
  }, 60_000);

  it("of the components are at most 15 without client and React, and cropping loads later", async () => {
    const { entry, later } = await sizes('export * from "@avatar-ops/react"', /^(react|react-dom|@avatar-ops\/client|heic-to)(\/|$)/);
    expect(entry).toBeLessThan(15_000);
    expectSaid("`@avatar-ops/react`", entry);
    expect(Object.keys(later)).toEqual(["CropDialog"]);
    expectSaid("cropping (react-easy-crop)", later.CropDialog!);
  }, 60_000);
});

it("the console has what its source makes: `make front-end` renews it", async () => {
  const folder = mkdtempSync(join(tmpdir(), "avatar-ops-console-"));
  await build({ root: join(root, "console"), logLevel: "silent", build: { outDir: folder } });
  expect(readdirSync(folder)).toEqual(["avatar_upload.js"]);
  expect(read("../console/components/avatar_upload.js")).toBe(readFileSync(join(folder, "avatar_upload.js"), "utf8"));
}, 60_000);

it("the packages have the project's version", () => {
  const version = read("../pyproject.toml").match(/^version = "(.+)"$/m)![1];
  for (const name of ["client", "react"]) expect(JSON.parse(read(`${name}/package.json`)).version).toBe(version);
});

it("the lock file names no registry, and pins each package by its hash", () => {
  const { packages } = JSON.parse(read("package-lock.json")) as { packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }> };
  const installed = Object.entries(packages).filter(([name, { link }]) => name.includes("node_modules/") && !link);
  expect(installed.length).toBeGreaterThan(40);
  for (const [name, { resolved, integrity }] of installed) {
    expect(resolved, name).toBeUndefined();
    expect(integrity, name).toMatch(/^sha512-/);
  }
});
