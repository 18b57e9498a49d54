// jsforce, unchanged, against the emulator: each step prints its name when it held.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import jsforce from "jsforce";

const { LOGIN_URL, CLIENT_ID, CLIENT_SECRET, CALLBACK, ADMIN, ARCHIVE, INTEGRATION } = process.env;

async function connect() {
  const oauth2 = new jsforce.OAuth2({
    loginUrl: LOGIN_URL, clientId: CLIENT_ID, clientSecret: CLIENT_SECRET, redirectUri: CALLBACK, useVerifier: true,
  });
  const url = oauth2.getAuthorizationUrl({ scope: "api refresh_token", state: "s" });
  const form = new URLSearchParams({ user: ADMIN, decision: "allow" });
  const back = await fetch(url, { method: "POST", body: form, redirect: "manual" });
  assert.equal(back.status, 302);
  const conn = new jsforce.Connection({ oauth2, version: "67.0" });
  const user = await conn.authorize(new URL(back.headers.get("location")).searchParams.get("code"));
  assert.equal(user.id, ADMIN);
  assert.ok(conn.instanceUrl.endsWith("/salesforce/my/nordkraft"));
  assert.equal((await conn.identity()).user_id, ADMIN);
  console.log("connected");
  return conn;
}

async function deploy(conn) {
  const options = { rollbackOnError: true, singlePackage: true };
  const begun = await conn.metadata.deployRest(await readFile(ARCHIVE), options);
  let status = { done: false };
  while (!status.done) {
    const answer = await conn.request(`${conn._baseUrl()}/metadata/deployRequest/${begun.id}?includeDetails=true`);
    status = answer.deployResult;
  }
  assert.equal(status.status, "Succeeded");
  const [set] = (await conn.query("SELECT Id FROM PermissionSet WHERE Name = 'Fortnox'")).records;
  for (const user of [ADMIN, INTEGRATION]) {
    await conn.sobject("PermissionSetAssignment").create({ AssigneeId: user, PermissionSetId: set.Id });
  }
  console.log("deployed");
}

async function records(conn) {
  const account = conn.sobject("Account");
  const made = await account.create({ Name: "Jsforce AB" });
  assert.ok(made.success);
  await account.update({ Id: made.id, Phone: "08-2" });
  assert.equal((await account.retrieve(made.id)).Phone, "08-2");
  const upserted = await account.upsert({ Name: "Upsert AB", Fortnox_Key__c: "f1:7" }, "Fortnox_Key__c");
  assert.ok(upserted.success);
  const found = await account.find({ Fortnox_Key__c: "f1:7" }, ["Id", "Name"]);
  assert.deepEqual(found.map((row) => row.Name), ["Upsert AB"]);
  await account.destroy(made.id);
  await assert.rejects(account.retrieve(made.id), (error) => error.errorCode === "ENTITY_IS_DELETED" || error.errorCode === "NOT_FOUND");
  const described = await account.describe();
  assert.ok(described.fields.some((field) => field.name === "Fortnox_Key__c" && field.externalId));
  console.log("records");
}

async function composite(conn) {
  const account = conn.sobject("Account");
  const results = await account.create([{ Name: "Ett AB" }, {}, { Name: "Tre AB" }]);
  assert.deepEqual(results.map((result) => result.success), [true, false, true]);
  assert.equal(results[1].errors[0].statusCode ?? results[1].errors[0].errorCode, "REQUIRED_FIELD_MISSING");
  const ids = results.filter((result) => result.success).map((result) => result.id);
  assert.equal((await account.retrieve(ids)).length, 2);
  const removed = await account.destroy(ids);
  assert.ok(removed.every((result) => result.success));
  console.log("composite");
}

async function bulk(conn) {
  conn.instanceUrl = new URL(LOGIN_URL).origin; // bulk calls leave out the path of the instance's address
  const job = conn.bulk2.createJob({ operation: "insert", object: "Account" });
  await job.open();
  await job.uploadData(Array.from({ length: 20 }, (_, n) => ({ Name: `Massa ${n}` })));
  await job.close();
  await job.poll(20, 10000);
  assert.equal((await job.getSuccessfulResults()).length, 20);
  const stream = await conn.bulk2.query("SELECT Id, Name FROM Account WHERE Name LIKE 'Massa %'", { pollInterval: 20 });
  assert.equal((await stream.toArray()).length, 20);
  console.log("bulk");
}

async function refresh(conn) {
  const before = conn.accessToken;
  await conn.oauth2.revokeToken(before);
  assert.ok((await conn.query("SELECT COUNT() FROM Account")).totalSize > 0);
  assert.notEqual(conn.accessToken, before);
  console.log("refreshed");
}

const conn = await connect();
await deploy(conn);
await records(conn);
await composite(conn);
await bulk(conn);
await refresh(conn);
