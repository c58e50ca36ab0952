// One JSON request per line on stdin, one JSON answer per line on stdout:
// {"input": path, "output": path} renders what the engine renders.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/`);
const sharp = require("sharp");
sharp.concurrency(1);
sharp.cache(false);

for await (const line of createInterface({ input: process.stdin })) {
  const { input, output } = JSON.parse(line);
  const data = readFileSync(input);
  const start = process.hrtime.bigint();
  const used = process.cpuUsage();
  const rendered = await sharp(data, { limitInputPixels: false })
    .autoOrient()
    .resize(512, 512, { fit: "cover" })
    .flatten({ background: "white" })
    .jpeg({ quality: 80 })
    .toBuffer();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(used);
  writeFileSync(output, rendered);
  const peak = Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
  console.log(JSON.stringify({ seconds, cpu: (user + system) / 1e6, peak }));
}
