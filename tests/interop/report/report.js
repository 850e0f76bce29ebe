// What the conformance programs in JavaScript have in common: one line on standard output for each check.
'use strict';

class Skip extends Error {}

function expect(condition, what) {
  if (!condition) throw new Error(what);
}

function show(value) {
  return JSON.stringify(value, (_key, inner) => (typeof inner === 'bigint' ? inner.toString() : inner));
}

function expectEqual(found, wanted, what) {
  expect(show(found) === show(wanted), `${what}: ${show(found)}, not ${show(wanted)}`);
}

function oneLine(error) {
  return String((error && error.message) || error).replace(/\s+/g, ' ').slice(0, 300);
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Asks again until condition() is true; fails with what was waited for.
async function until(condition, what, milliseconds = 60000) {
  const deadline = Date.now() + milliseconds;
  while (!(await condition())) {
    expect(Date.now() < deadline, `waited in vain for: ${typeof what === 'function' ? what() : what}`);
    await sleep(50);
  }
}

function withDeadline(promise, milliseconds = 90000) {
  let timer;
  const deadline = new Promise((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([promise, deadline]).finally(() => clearTimeout(timer));
}

// Runs [name, function] pairs in their order; the number that failed.
async function runChecks(checks) {
  let failed = 0;
  for (const [name, check] of checks) {
    try {
      await withDeadline(check());
      console.log(`ok ${name}`);
    } catch (error) {
      if (error instanceof Skip) {
        console.log(`skip ${name}: ${oneLine(error)}`);
        continue;
      }
      failed++;
      console.log(`not ok ${name}: ${oneLine(error)}`);
      console.error(name, error);
    }
  }
  return failed;
}

module.exports = { Skip, expect, expectEqual, runChecks, sleep, until };
