/** A stub that answers what a test tells it to, in whatever bytes: also what no stub would say. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { PacketFraming } from '../../../server/rsp/framing.ts';
import { encodePacket } from '../../../server/rsp/packet-writer.ts';

/** The bytes to send for a request (`\\x03`: a break-in), packet or not; `close`: the connection ends. */
export type Answers = (request: string) => readonly (Uint8Array | 'close')[];

export function packet(text: string): Uint8Array {
  return encodePacket(Buffer.from(text, 'latin1'));
}

export class ScriptedStub {
  readonly requests: string[] = [];
  /** How often somebody connected. */
  connections = 0;
  private readonly server: Server;
  private readonly answers: Answers;
  private socket: Socket | undefined;

  private constructor(answers: Answers, greeting: string) {
    this.answers = answers;
    this.server = createServer((socket) => {
      this.connections++;
      this.socket = socket;
      const framing = new PacketFraming(1 << 20);
      socket.on('error', () => undefined);
      if (greeting !== '') this.send(packet(greeting));
      socket.on('data', (bytes: Buffer) => {
        for (const event of framing.feed(bytes)) {
          if (event.kind === 'packet') this.hear(Buffer.from(event.payload).toString('latin1'));
          if (event.kind === 'interrupt') this.hear('\x03');
        }
      });
    });
  }

  static async start(answers: Answers, greeting = ''): Promise<ScriptedStub> {
    const stub = new ScriptedStub(answers, greeting);
    await new Promise<void>((resolve) => stub.server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  send(bytes: Uint8Array): void {
    if (this.socket?.writable === true) this.socket.write(bytes);
  }

  dispose(): void {
    this.socket?.destroy();
    this.server.close();
  }

  private hear(request: string): void {
    this.requests.push(request);
    for (const answer of this.answers(request)) {
      if (answer === 'close') this.socket?.destroy();
      else this.send(answer);
    }
  }
}
