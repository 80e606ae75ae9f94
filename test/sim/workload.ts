// What hosts do while things go wrong: downloads and uploads of all sizes, datagrams, pings, and what no policy permits. Drawn from
// the world's seed. Everything crosses the sites, so most replies come to the unit that does not own the session.

import type { Random } from "../../firmware/hal/sim/random.ts";
import type { Host } from "./host.ts";
import { DENIED_PORT, type Picture } from "./picture.ts";
import { type DownloadOptions, download, type Exchange, exchange, Pinger, sendStraySegment, type Transfer } from "./services.ts";

export interface WorkloadOptions {
  /** Mean time between two activities. */
  readonly everyMillis: number;
  readonly downloadBytesMost: number;
}

export class Workload {
  readonly transfers: Transfer[] = [];
  readonly exchanges: Exchange[] = [];
  /** Downloads that the policy forbids: none may ever be established. */
  readonly forbidden: Transfer[] = [];
  private readonly picture: Picture;
  private readonly options: WorkloadOptions;
  private readonly random: Random;
  private readonly pingers = new Map<Host, Pinger>();
  private running = false;

  constructor(picture: Picture, options: WorkloadOptions) {
    this.picture = picture;
    this.options = options;
    this.random = picture.world.random.fork("workload");
    for (const host of [picture.service1, picture.service3, picture.user]) if (host !== null) this.pingers.set(host, new Pinger(host));
  }

  start(): void {
    this.running = true;
    this.next();
  }

  /** Starts nothing new. */
  stop(): void {
    this.running = false;
  }

  private next(): void {
    const wait = this.random.fraction() * 2 * this.options.everyMillis * 1_000;
    this.picture.world.schedule.after(wait, () => {
      if (!this.running) return;
      this.one();
      this.next();
    });
  }

  private one(): void {
    const { random, picture } = this;
    // Without a twin only what crosses one unit both ways can live.
    const alone = picture.options.twin === false;
    const client = picture.user !== null && (random.chance(0.4) || alone) ? picture.user : picture.service1;
    const v4 = random.chance(0.6);
    const server = this.picture.addresses(v4).service3;
    const draw = random.fraction();
    if (draw < 0.5) this.transfers.push(download(client, server, this.size()));
    else if (draw < 0.7) this.exchanges.push(exchange(client, server, { bytes: random.between(1, 1_400) }));
    else if (draw < 0.8) this.exchanges.push((this.pingers.get(client) as Pinger).ping(server, random.between(0, 1_000)));
    else if (draw < 0.85) this.burst(client, v4);
    else if (draw < 0.92) this.forbid(client, v4);
    else this.strays(client, v4);
  }

  private size(): DownloadOptions {
    const { random } = this;
    const most = this.options.downloadBytesMost;
    const scale = random.fraction() ** 3;
    const windows = [4_096, 65_535, 262_144, 1 << 20];
    return {
      bytes: Math.floor(most * scale),
      uploadBytes: random.chance(0.3) ? Math.floor((most * random.fraction()) / 4) : 0,
      windowBytes: random.pick(windows),
    };
  }

  /** Several short connections or datagrams at once. */
  private burst(client: Host, v4: boolean): void {
    const server = this.picture.addresses(v4).service3;
    const count = this.random.between(2, 12);
    const datagrams = this.random.chance(0.5);
    for (let k = 0; k < count; k++) {
      if (datagrams) this.exchanges.push(exchange(client, server));
      else this.transfers.push(download(client, server, { bytes: this.random.below(3_000) }));
    }
  }

  private forbid(client: Host, v4: boolean): void {
    const { service1, service3 } = this.picture.addresses(v4);
    if (this.random.chance(0.5)) this.forbidden.push(download(client, service3, { bytes: 10, port: DENIED_PORT }));
    else this.forbidden.push(download(this.picture.service3, service1, { bytes: 10 }));
  }

  /** Segments and datagrams that belong to nothing, in both directions. */
  private strays(client: Host, v4: boolean): void {
    const { random } = this;
    const { service1, service3 } = this.picture.addresses(v4);
    const flags = random.pick([16, 17, 4, 20, 18, 2, 1, 0, 41]);
    const ports = [random.between(1_024, 30_000), random.pick([8_080, DENIED_PORT, 9])] as const;
    if (random.chance(0.5)) sendStraySegment(client, service3, ports[0], ports[1], flags, random.word(), random.word());
    else sendStraySegment(this.picture.service3, service1, ports[1], ports[0], flags, random.word(), random.word());
    if (random.chance(0.3)) this.picture.service3.sendUdp(service1, ports[0], ports[1], new Uint8Array(20));
  }
}
