// Prints what the loop costs: with a call that does nothing, and with ONNX Runtime beside the same calls in a bare
// loop.
//
//   loopcost LIBRARIES MODEL.onnx

import Adapters
import CAllocations
import Core
import Glibc

/// A session whose call does nothing.
final class Nothing: Session {
  let inputs: [TensorSpec]? = []
  var report: RunReply.Runtime { .init(name: "nothing", version: "1", request: .init(delegate: .cpu, threads: 1)) }
  func setInputs(_ tensors: [Tensor]) {}
  func invoke() throws {}
  func outputs() -> [Tensor] { [] }
  func close() {}
}

let calls = 60_000
let scratch = "/tmp"

func show(_ what: String, _ cost: LoopCost) {
  print(
    "\(what) calls=\(cost.calls) median_ns=\(cost.medianNs) per_call_ns=\(cost.perCallNs) "
      + "allocations=\(cost.allocations)")
}

show("nothing", try LoopCost.measure(Nothing(), calls: calls, scratch: scratch, count: pb_allocations))
if CommandLine.arguments.count == 3 {
  let adapter = OnnxAdapter(Libraries(folder: CommandLine.arguments[1]))
  let request = RunRequest.Runtime(delegate: .cpu, threads: 1)
  try adapter.start(request)
  let session = try adapter.load(CommandLine.arguments[2], request)
  let inputs = try (session.inputs ?? []).map { try Tensor($0.dtype, $0.shape.map { max(1, $0) }) }
  try session.setInputs(inputs)
  for _ in 0..<1000 { try session.invoke() }
  let before = pb_allocations()
  let start = SystemClock().nanos()
  for _ in 0..<calls { try session.invoke() }
  let bareNs = Double(SystemClock().nanos() - start) / Double(calls)
  let bareAllocations = pb_allocations() - before
  let cost = try LoopCost.measure(session, calls: calls, scratch: scratch, count: pb_allocations)
  print("bare calls=\(calls) per_call_ns=\(bareNs) allocations=\(bareAllocations)")
  show("onnxruntime", cost)
  session.close()
}
