/// Runs each input once and writes `outputs.bin`.
enum JobOutputs {
  static let file = "outputs.bin"

  /// Write the outputs of the inputs `0 … count - 1`. The file is synced to disk when this returns.
  static func write(_ folder: String, _ session: any Session, _ inputs: JobInputs, count: Int) throws
    -> RunReply.Outputs
  {
    var described: [TensorSpec]?
    do {
      let out = try File(writing: "\(folder)/\(file)")
      for index in 0..<count {
        try session.setInputs(inputs.forModel(index, session.inputs))
        try session.invoke()
        let tensors = try session.outputs()
        described = try same(described, describe(tensors))
        for tensor in tensors { try out.write(UnsafeRawBufferPointer(tensor.data)) }
      }
      try out.sync()
    } catch let error as FileError {
      throw RunFailure.failed(
        .storage, "cannot write '\(file)': \(error.reason); free some disk space", detail: error.description)
    }
    return RunReply.Outputs(file: file, count: count, tensors: described ?? [])
  }

  private static func describe(_ tensors: [Tensor]) -> [TensorSpec] {
    tensors.enumerated().map { TensorSpec(name: "output_\($0)", dtype: $1.dtype, shape: $1.shape) }
  }

  private static func same(_ before: [TensorSpec]?, _ now: [TensorSpec]) throws -> [TensorSpec] {
    if let before, before != now {
      throw RunFailure.failed(
        .run, "the outputs changed their shapes from one input to the next (\(before) to \(now))")
    }
    return now
  }
}
