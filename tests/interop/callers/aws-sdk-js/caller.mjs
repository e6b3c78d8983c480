// One S3 call per line: reads {"call", ...} as JSON from standard input, answers {"value"} or {"error"}.
//
// The SDK keeps its defaults (a CRC32 on every upload, regions, retries off). It cannot be told to send nothing at all,
// so without KEYS ("access-key secret-key") its signer is one that adds nothing.
import { createInterface } from "node:readline";
import { createReadStream, readFileSync, statSync } from "node:fs";
import {
  CreateBucketCommand, DeleteBucketCommand, DeleteObjectsCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client,
} from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

const [accessKeyId, secretAccessKey] = (process.env.KEYS || "none none").split(" ");
const keyless = process.env.KEYS ? {} : { signer: { sign: async (request) => request } };
const s3 = new S3Client({
  endpoint: process.env.ENDPOINT,
  region: "us-east-1",
  forcePathStyle: true,
  maxAttempts: 1,
  credentials: { accessKeyId, secretAccessKey },
  ...keyless,
});

const bytes = async (answer) => Buffer.from(await answer.Body.transformToByteArray()).toString("base64");

const calls = {
  create: ({ bucket }) => s3.send(new CreateBucketCommand({ Bucket: bucket })),
  put: ({ bucket, key, body }) => s3.send(new PutObjectCommand({
    Bucket: bucket, Key: key, Body: Buffer.from(body, "base64"), ContentType: "text/plain", Metadata: { note: "two   spaces" },
  })),
  // A stream makes the SDK send aws-chunked with a trailing checksum.
  put_stream: ({ bucket, key, path }) => s3.send(new PutObjectCommand({
    Bucket: bucket, Key: key, Body: createReadStream(path), ContentLength: statSync(path).size,
  })),
  get: async ({ bucket, key }) => bytes(await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }))),
  get_range: async ({ bucket, key, first, last }) => bytes(await s3.send(new GetObjectCommand({ Bucket: bucket, Key: key, Range: `bytes=${first}-${last}` }))),
  list: async ({ bucket }) => ((await s3.send(new ListObjectsV2Command({ Bucket: bucket }))).Contents ?? []).map((item) => item.Key),
  multipart: ({ bucket, path }) => new Upload({ client: s3, params: { Bucket: bucket, Key: "big.bin", Body: readFileSync(path) }, partSize: 5 * 1024 * 1024 }).done(),
  delete: ({ bucket, key }) => s3.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: [{ Key: key }], Quiet: true } })),
  remove: ({ bucket }) => s3.send(new DeleteBucketCommand({ Bucket: bucket })),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...what } = JSON.parse(line);
  let answer;
  try {
    const value = await calls[call](what);
    answer = { value: typeof value === "string" || Array.isArray(value) ? value : null };
  } catch (error) {
    const status = error.$metadata?.httpStatusCode;
    answer = { error: status ? `${status} ${error.Code ?? error.name}` : String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
