// What packets of our own may cost: a burst, then a rate, whatever the clock says.

import { test } from "tap";
import { Bucket } from "../../firmware/fastpath/bucket.ts";

function spendAll(bucket: Bucket): number {
  let spent = 0;
  while (bucket.spend()) spent++;
  return spent;
}

test("a bucket gives its burst, then its rate, in ticks of any length", async (t) => {
  for (const step of [1, 5, 7, 333]) {
    const bucket = new Bucket(50, 200);
    bucket.tick(0);
    t.equal(spendAll(bucket), 50);
    let spent = 0;
    for (let now = step; now <= 9_990; now += step) {
      bucket.tick(now);
      spent += spendAll(bucket);
    }
    const seconds = (Math.floor(9_990 / step) * step) / 1_000;
    t.ok(Math.abs(spent - (step === 333 ? 50 * 30 : 200 * seconds)) <= 1, `${spent} in ${seconds} s by ${step} ms`);
  }
});

test("a long silence fills a bucket and no more, also when the clock passes 2^31 milliseconds", async (t) => {
  const bucket = new Bucket(100, 1_000);
  bucket.tick(2 ** 31 - 2);
  spendAll(bucket);
  bucket.tick((2 ** 31 + 10) | 0);
  t.equal(spendAll(bucket), 12);
  bucket.tick((2 ** 31 + 90_000_000) | 0);
  t.equal(spendAll(bucket), 100);
});
