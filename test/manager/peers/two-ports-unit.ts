// A unit's peers as a process with two twin ports, `first` and `second` (two-ports.ts). Lines come in, lines of JSON go out:
//
//   announce │ say TEXT  ──►  unit  ──►  { up: unit, is } │ { restarting: unit } │ { heard: TEXT } │ { link: DEVICE }

import { join } from "node:path";
import { createInterface } from "node:readline";
import { openPeers } from "../../../firmware/manager/peers/peers.ts";

const [unitText = "", name = "", data = "", peerText = "", peerName = ""] = process.argv.slice(2);
const peer = Number(peerText);
const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
const peers = openPeers({
  unit: Number(unitText),
  name,
  peers: [{ unit: peer, name: peerName, site: peerName.slice(0, 1) }],
  devices: ["first", "second"],
  data,
  socket: join(data, "peers"),
  log: {
    note(_severity, code, text) {
      process.stderr.write(`${name} ${code}: ${text}\n`);
      if (code === "peer-link-up") say({ link: / over (\w+)\./.exec(text)?.[1] });
    },
  },
  onSecrets: () => undefined,
  onRestarting: (unit) => say({ restarting: unit }),
});
peers.channel.watch((unit, is) => say({ up: unit, is }));
peers.channel.on("text", (_from, { text }) => say({ heard: text }));
createInterface({ input: process.stdin }).on("line", (line) => {
  if (line === "announce") peers.announceRestart();
  else peers.channel.send(peer, { kind: "text", text: line });
});
