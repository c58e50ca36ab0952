// Verifies one token over and over: reads a count per line, answers with the nanoseconds taken.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const [packages, pool, clientId, jwks, token] = process.argv.slice(2);
const { CognitoJwtVerifier } = createRequire(packages)("aws-jwt-verify");
const verifier = CognitoJwtVerifier.create({ userPoolId: pool, clientId, tokenUse: "access" });
verifier.cacheJwks(JSON.parse(jwks));

for await (const line of createInterface({ input: process.stdin })) {
  const started = process.hrtime.bigint();
  for (let i = Number(line); i > 0; i--) verifier.verifySync(token);
  console.log(String(process.hrtime.bigint() - started));
}
