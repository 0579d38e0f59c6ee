/**
 * The smallest RSP client that can measure a server: packets as bytes, acks if the server wants
 * them. It imports nothing of ours, so that it measures all servers alike.
 */
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** After it, nothing is on the way that nobody asked for. */
const QUIET_MS = 100;

export class RspClient {
  private readonly socket: Socket;
  private buffer: Buffer = Buffer.alloc(0);
  private waiting: ((packet: Buffer) => void) | undefined;
  private acknowledges = true;
  /** Packets sent, acks not counted. */
  packets = 0;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => {
      this.buffer = this.buffer.length === 0 ? chunk : Buffer.concat([this.buffer, chunk]);
      this.deliver();
    });
  }

  static async attach(port: number): Promise<RspClient> {
    const socket = connect({ host: '127.0.0.1', port });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    const client = new RspClient(socket);
    socket.write('+');
    const features = (
      await client.request('qSupported:swbreak+;hwbreak+;vContSupported+')
    ).toString();
    if (features.includes('QStartNoAckMode+')) {
      await client.request('QStartNoAckMode');
      client.acknowledges = false;
    }
    // QEMU halts a running guest for its new client and reports that stop unasked. Taken for the answer
    // to the first request, it would leave every later request answered before it is sent.
    await sleep(QUIET_MS);
    if (client.buffer.length > 0) {
      if (client.acknowledges) socket.write('+');
      client.buffer = Buffer.alloc(0);
    }
    return client;
  }

  send(packet: string): void {
    const bytes = Buffer.from(packet, 'latin1');
    let sum = 0;
    for (const byte of bytes) sum = (sum + byte) & 0xff;
    this.packets += 1;
    this.socket.write(`$${packet}#${sum.toString(16).padStart(2, '0')}`, 'latin1');
  }

  /** The payload of the next packet from the server. */
  receive(): Promise<Buffer> {
    return new Promise((resolve) => {
      this.waiting = resolve;
      this.deliver();
    });
  }

  /** Sends a packet and waits for the reply; console output (`O`) on the way is skipped. */
  async request(packet: string): Promise<Buffer> {
    this.send(packet);
    for (;;) {
      const reply = await this.receive();
      const isOutput = reply[0] === 0x4f && reply.length > 2;
      if (!isOutput || packet.startsWith('qRcmd')) return reply;
    }
  }

  /** What the server says of itself. */
  async features(): Promise<string> {
    return (await this.request('qSupported:xmlRegisters=i386')).toString();
  }

  interrupt(): void {
    this.socket.write(Buffer.of(3));
  }

  close(): void {
    this.socket.destroy();
  }

  private deliver(): void {
    if (this.waiting === undefined) return;
    const start = this.buffer.indexOf(0x24);
    if (start < 0) return;
    const end = this.buffer.indexOf(0x23, start);
    if (end < 0 || this.buffer.length < end + 3) return;
    const packet = this.buffer.subarray(start + 1, end);
    this.buffer = this.buffer.subarray(end + 3);
    if (this.acknowledges) this.socket.write('+');
    const { waiting } = this;
    this.waiting = undefined;
    waiting(packet);
  }
}
