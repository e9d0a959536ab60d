// The steps of the matrix with the AWS SDK for JavaScript, version 3.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createReadStream, readFileSync, writeFileSync } from "node:fs";

import {
  CopyObjectCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  DeleteObjectTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetObjectTaggingCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  NoSuchKey,
  paginateListObjectsV2,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutObjectTaggingCommand,
  S3Client,
  S3ServiceException,
  waitUntilBucketExists,
} from "@aws-sdk/client-s3";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { Upload } from "@aws-sdk/lib-storage";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";

const environment = process.env;
const Bucket = environment.MATRIX_BUCKET;
const KEYS = JSON.parse(readFileSync(environment.MATRIX_KEYS, "utf8"));

const s3 = new S3Client({});
const sts = new STSClient({});

const send = (Command, input) => s3.send(new Command(input));
const put = (Key, Body, more = {}) => send(PutObjectCommand, { Bucket, Key, Body, ...more });
const get = (Key, more = {}) => send(GetObjectCommand, { Bucket, Key, ...more });
const bytes = async (answer) => Buffer.from(await answer.Body.transformToByteArray());
const text = (answer) => answer.Body.transformToString();

/** The name of the error that a call is refused with. */
async function refused(status, call) {
  const error = await call.then(
    () => assert.fail("nothing was refused"),
    (error) => error,
  );
  assert(error instanceof S3ServiceException, error);
  assert.equal(error.$metadata.httpStatusCode, status, error);
  return error.name;
}

async function listed(Prefix) {
  const keys = [];
  for await (const page of paginateListObjectsV2({ client: s3, pageSize: 7 }, { Bucket, Prefix })) {
    keys.push(...(page.Contents ?? []).map((item) => item.Key));
  }
  return keys;
}

const byBytes = (one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other));

const steps = {
  async identity() {
    const answer = await sts.send(new GetCallerIdentityCommand({}));
    const version = JSON.parse(readFileSync(new URL("package.json", import.meta.url))).dependencies["@aws-sdk/client-s3"];
    return { account: answer.Account, arn: answer.Arn, userId: answer.UserId, version };
  },

  async refresh() {
    for (let call = 0; call < 3; call += 1) await sts.send(new GetCallerIdentityCommand({}));
  },

  async objects() {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    for (const key of KEYS) {
      const content = Buffer.concat([Buffer.from(key), every]);
      await put(key, content, { Metadata: { team: "blue" }, ContentType: "text/x-matrix" });
      const got = await get(key);
      assert.deepEqual(await bytes(got), content, key);
      assert.deepEqual([got.Metadata, got.ContentType], [{ team: "blue" }, "text/x-matrix"]);
    }
    // A stream: the checksum comes behind the body.
    const content = randomBytes(1 << 20);
    writeFileSync("content", content);
    await put("streamed", createReadStream("content"));
    assert.deepEqual(await bytes(await get("streamed")), content);
    await put("empty", "");
    assert.equal(await text(await get("empty")), "");
    const head = await send(HeadObjectCommand, { Bucket, Key: "streamed", ChecksumMode: "ENABLED" });
    const [checksum, ...others] = Object.keys(head).filter((name) => /^Checksum(?!Type)/.test(name));
    assert.equal(others.length, 0, head);
    assert.deepEqual(await bytes(await get("streamed", { Range: "bytes=1000-1999" })), content.subarray(1000, 2000));
    await send(DeleteObjectCommand, { Bucket, Key: "streamed" });
    await assert.rejects(get("streamed"), (error) => error instanceof NoSuchKey);
    return { checksum: checksum.replace("Checksum", "") };
  },

  async multipart() {
    const content = Buffer.concat([randomBytes(17 << 20), Buffer.from("the end")]);
    writeFileSync("large", content);
    const upload = new Upload({
      client: s3,
      params: { Bucket, Key: "in parts", Body: createReadStream("large") },
      partSize: 6 << 20,
    });
    assert.match((await upload.done()).ETag, /-3"$/);
    assert.deepEqual(await bytes(await get("in parts")), content);
    const source = `${Bucket}/${encodeURIComponent("in parts")}`;
    await send(CopyObjectCommand, { Bucket, Key: "copied", CopySource: source });
    assert.deepEqual(await bytes(await get("copied")), content);
  },

  async "presigned-get"() {
    const Key = environment.MATRIX_PRESIGNED_GET;
    await put(Key, environment.MATRIX_PRESIGNED_CONTENT);
    return { url: await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key }), { expiresIn: 3600 }) };
  },

  async "presigned-put"() {
    const Key = environment.MATRIX_PRESIGNED_PUT;
    return { url: await getSignedUrl(s3, new PutObjectCommand({ Bucket, Key }), { expiresIn: 3600 }) };
  },

  async denial() {
    try {
      await send(PutObjectCommand, { Bucket: environment.MATRIX_FORBIDDEN, Key: "key", Body: "content" });
    } catch (error) {
      assert(error instanceof S3ServiceException, error);
      assert.deepEqual([error.name, error.$metadata.httpStatusCode], ["AccessDenied", 403]);
      return { requestId: error.$metadata.requestId, message: error.message };
    }
    assert.fail("nothing was denied");
  },

  async buckets() {
    const bucket = { Bucket: `${Bucket}-made` };
    await send(CreateBucketCommand, bucket);
    await waitUntilBucketExists({ client: s3, maxWaitTime: 30 }, bucket);
    assert((await send(ListBucketsCommand, {})).Buckets.some((found) => found.Name === bucket.Bucket));
    await send(PutObjectCommand, { ...bucket, Key: "key", Body: "" });
    assert.equal(await refused(409, send(DeleteBucketCommand, bucket)), "BucketNotEmpty");
    await send(DeleteObjectCommand, { ...bucket, Key: "key" });
    await send(DeleteBucketCommand, bucket);
    assert.equal(await refused(404, send(ListObjectsV2Command, bucket)), "NoSuchBucket");
  },

  async conditional() {
    const key = "conditional";
    const first = (await put(key, "first", { IfNoneMatch: "*" })).ETag;
    assert.equal(await refused(412, put(key, "second", { IfNoneMatch: "*" })), "PreconditionFailed");
    const second = (await put(key, "second", { IfMatch: first })).ETag;
    assert.equal(await refused(412, put(key, "third", { IfMatch: first })), "PreconditionFailed");
    await refused(304, get(key, { IfNoneMatch: second }));
    assert.equal(await refused(412, get(key, { IfMatch: first })), "PreconditionFailed");
    assert.equal(await text(await get(key, { IfMatch: second })), "second");
  },

  async listing() {
    const numbers = Array.from({ length: 20 }, (_, number) => String(number).padStart(2, "0"));
    const names = [...KEYS, ...numbers].map((key) => `list/${key}`).sort(byBytes);
    for (const name of names) await put(name, "");
    assert.deepEqual(await listed("list/"), names);
    const page = await send(ListObjectsV2Command, { Bucket, Prefix: "list/", Delimiter: "/" });
    const nested = names.filter((name) => name.split("/").length > 2);
    const folders = new Set(nested.map((name) => `${name.split("/").slice(0, 2).join("/")}/`));
    assert.deepEqual(page.CommonPrefixes.map((folder) => folder.Prefix), [...folders].sort(byBytes));
  },

  async "delete-several"() {
    const names = KEYS.map((key) => `several/${key}`);
    for (const name of names) await put(name, "");
    const Objects = names.map((Key) => ({ Key }));
    const answer = await send(DeleteObjectsCommand, { Bucket, Delete: { Objects } });
    assert.deepEqual(answer.Deleted.map((item) => item.Key).sort(byBytes), names.sort(byBytes));
    assert.equal(answer.Errors, undefined);
    assert.deepEqual(await listed("several/"), []);
  },

  async tagging() {
    const place = { Bucket, Key: "tagged" };
    const tags = async () => (await send(GetObjectTaggingCommand, place)).TagSet;
    await put(place.Key, "", { Tagging: "team=blue&what=a%20b" });
    assert.deepEqual(await tags(), [
      { Key: "team", Value: "blue" },
      { Key: "what", Value: "a b" },
    ]);
    const TagSet = [{ Key: "größe", Value: "1+1 = 2" }];
    await send(PutObjectTaggingCommand, { ...place, Tagging: { TagSet } });
    assert.deepEqual(await tags(), TagSet);
    assert.equal((await get(place.Key)).TagCount, 1);
    await send(DeleteObjectTaggingCommand, place);
    assert.deepEqual(await tags(), []);
  },

  async versions() {
    const bucket = { Bucket: `${Bucket}-versions` };
    const place = { ...bucket, Key: "a key" };
    await send(CreateBucketCommand, bucket);
    await send(PutBucketVersioningCommand, { ...bucket, VersioningConfiguration: { Status: "Enabled" } });
    assert.equal((await send(GetBucketVersioningCommand, bucket)).Status, "Enabled");
    const first = (await send(PutObjectCommand, { ...place, Body: "first" })).VersionId;
    const second = (await send(PutObjectCommand, { ...place, Body: "second" })).VersionId;
    const marker = await send(DeleteObjectCommand, place);
    assert.equal(marker.DeleteMarker, true);
    assert.equal(await refused(404, send(GetObjectCommand, place)), "NoSuchKey");
    assert.equal(await text(await send(GetObjectCommand, { ...place, VersionId: first })), "first");
    const page = await send(ListObjectVersionsCommand, bucket);
    assert.deepEqual(page.Versions.map((version) => version.VersionId), [second, first]);
    assert.deepEqual(page.DeleteMarkers.map((version) => version.VersionId), [marker.VersionId]);
    await send(DeleteObjectCommand, { ...place, VersionId: marker.VersionId });
    assert.equal(await text(await send(GetObjectCommand, place)), "second");
  },
};

for (const step of process.argv.slice(2)) {
  let line = { step, result: "pass" };
  try {
    Object.assign(line, await steps[step]());
  } catch (error) {
    const place = /matrix\.mjs:(\d+)/.exec(error.stack ?? "")?.[1];
    line = { step, result: "fail", reason: `${error.name} at line ${place}: ${error.message}` };
  }
  console.log(JSON.stringify(line));
}
