import { test } from "tap";
import { imageBoard } from "../../image/boards.ts";
import { diskLayout, diskMib, grubConfiguration, identifierOf, sfdiskScript } from "../../image/disk.ts";

const MIB_SECTORS = 2_048;

test("partitions lie one after the other behind a gap of 16 MiB, two slots of the same size among them", async (t) => {
  const layout = diskLayout();
  t.same(
    layout.map(({ name }) => name),
    ["esp", "slot-a", "slot-b", "data"],
  );
  t.equal(layout[0]?.startMib, 16);
  for (let k = 1; k < layout.length; k++) t.equal(layout[k]?.startMib, (layout[k - 1]?.startMib ?? 0) + (layout[k - 1]?.sizeMib ?? 0));
  t.equal(layout[1]?.sizeMib, layout[2]?.sizeMib);
});

test("the disk fits a medium of 1 GB with room for the second partition table", async (t) => {
  const layout = diskLayout();
  const last = layout.at(-1);
  t.ok(diskMib(layout) * 1_048_576 <= 1_073_741_824);
  t.ok(diskMib(layout) > (last?.startMib ?? 0) + (last?.sizeMib ?? 0));
});

test("an identifier follows from its name alone, and is a UUID", async (t) => {
  t.equal(identifierOf("board data"), identifierOf("board data"));
  t.not(identifierOf("board data"), identifierOf("board disk"));
  t.match(identifierOf("board data"), /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("sfdisk is told every start, size and identifier, so that it makes nothing up", async (t) => {
  const layout = diskLayout();
  const script = sfdiskScript("some-board", layout);
  t.match(script, /^label: gpt\nlabel-id: [0-9a-f-]{36}\n/);
  for (const { name, startMib, sizeMib } of layout)
    t.match(
      script,
      new RegExp(`^start=${startMib * MIB_SECTORS}, size=${sizeMib * MIB_SECTORS}, type=[0-9A-F-]{36}, uuid=[0-9a-f-]{36}, name="${name}"$`, "m"),
    );
});

test("GRUB starts slot a unless its environment names the other one, and the kernel is told which", async (t) => {
  const text = grubConfiguration(imageBoard("qemu-virt"));
  t.ok(text.indexOf("set slot=a") < text.indexOf("load_env"));
  t.match(text, /^linux \/\$slot\/vmlinuz twinwall\.slot=\$slot console=ttyAMA0/m);
  t.match(text, /^initrd \/\$slot\/initrd$/m);
});

test("a board without an image is answered with those that have one", async (t) => {
  t.throws(() => imageBoard("toaster"), { code: "image-no-board", message: /"toaster"[\s\S]*qemu-virt/ });
});
