// Clients of gRPC-Web: interop_web.js URL DESCRIPTORS PACKAGES. Names each case that passed, under the client and form that it went through.
"use strict";
const assert = require("node:assert");
const fs = require("node:fs");

const [url, descriptors, packages] = process.argv.slice(2);
const of = require("node:module").createRequire(`${packages}/package.json`);
const protobuf = of("@bufbuild/protobuf");
const { FileDescriptorSetSchema } = of("@bufbuild/protobuf/wkt");
const connect = of("@connectrpc/connect");
const { createGrpcWebTransport } = of("@connectrpc/connect-web");
// The official client speaks through this, as in a browser.
globalThis.XMLHttpRequest = of("xhr2");
const grpcWeb = of("grpc-web");

const LARGE = 314159;
const SIZES = [31415, 9, 2653, 58979];
const FAILED_PRECONDITION = 9;
const TEXT = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n";

const contract = protobuf.createFileRegistry(
  protobuf.fromBinary(FileDescriptorSetSchema, fs.readFileSync(descriptors)));
const service = contract.getService("grpc.testing.TestService");
const absent = contract.getService("grpc.testing.UnimplementedService");
const sized = sizes => sizes.map(size => ({ size }));

// `@connectrpc/connect-web`, in protobuf's form.
function connectWeb() {
  const transport = createGrpcWebTransport({ baseUrl: url, useBinaryFormat: true });
  const client = connect.createClient(service, transport);
  return {
    unary: (method, request) => (method ? client[method] : connect.createClient(absent, transport).unimplementedCall)(request),
    stream: async (request, seen) => {
      for await (const answer of client.streamingOutputCall(request)) seen.push(answer.payload.body.length);
    },
    code: error => error.code,
    // The message has the name of the code before it.
    text: error => error.rawMessage,
  };
}

// `grpc-web`, as text or binary.
function official(format) {
  const base = new grpcWeb.GrpcWebClientBase({ format });
  const described = method => new grpcWeb.MethodDescriptor(
    `/${method.parent.typeName}/${method.name}`,
    method.methodKind === "unary" ? grpcWeb.MethodType.UNARY : grpcWeb.MethodType.SERVER_STREAMING,
    Object, Object,
    request => protobuf.toBinary(method.input, protobuf.create(method.input, request)),
    bytes => protobuf.fromBinary(method.output, bytes));
  const call = method => [`${url}/${method.parent.typeName}/${method.name}`, described(method)];
  return {
    unary: (name, request) => {
      const [path, descriptor] = call(name ? service.method[name] : absent.method.unimplementedCall);
      return base.unaryCall(path, request, {}, descriptor);
    },
    stream: (request, seen) => new Promise((resolve, reject) => {
      const [path, descriptor] = call(service.method.streamingOutputCall);
      const stream = base.serverStreaming(path, request, {}, descriptor);
      stream.on("data", answer => seen.push(answer.payload.body.length));
      stream.on("error", reject);
      stream.on("end", resolve);
    }),
    code: error => error.code,
    text: error => decodeURIComponent(error.message),
  };
}

async function refused(client, call, code, text) {
  const error = await call().then(() => assert.fail("the call did not fail"), error => error);
  assert.strictEqual(client.code(error), code, error);
  if (text !== undefined) assert.strictEqual(client.text(error), text);
}

const CASES = {
  empty_unary: async client => void await client.unary("emptyCall", {}),
  large_unary: async client => {
    const request = { responseSize: LARGE, payload: { body: new Uint8Array(271828) } };
    assert.strictEqual((await client.unary("unaryCall", request)).payload.body.length, LARGE);
  },
  server_streaming: async client => {
    const seen = [];
    await client.stream({ responseParameters: sized(SIZES) }, seen);
    assert.deepStrictEqual(seen, SIZES);
  },
  server_streaming_that_fails: async client => {
    const seen = [];
    const responseStatus = { code: FAILED_PRECONDITION, message: "not in this state" };
    const request = { responseParameters: sized([1, 2]), responseStatus };
    await refused(client, () => client.stream(request, seen), FAILED_PRECONDITION, "not in this state");
    assert.deepStrictEqual(seen, [1, 2]);
  },
  special_status_message: client =>
    refused(client, () => client.unary("unaryCall", { responseStatus: { code: 2, message: TEXT } }), 2, TEXT),
  unimplemented_method: client => refused(client, () => client.unary("unimplementedCall", {}), 12),
  unimplemented_service: client => refused(client, () => client.unary(null, {}), 12),
};

async function main() {
  const clients = { connect: connectWeb(), "grpc-web text": official("text"), "grpc-web binary": official("binary") };
  for (const [name, client] of Object.entries(clients)) {
    for (const [title, run] of Object.entries(CASES)) {
      // The official client streams as text only.
      if (name === "grpc-web binary" && title.startsWith("server_streaming")) continue;
      await run(client);
      console.log(`${name} ${title}`);
    }
  }
}

main().catch(error => {
  console.error(error);
  process.exit(1);
});
