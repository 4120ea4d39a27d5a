/// Reads `inputs.bin`, the tensors of one call at a time, so a large file is never in memory as a whole.
final class JobInputs {
  private let file: File
  private let described: RunRequest.Inputs
  private let recordBytes: Int

  private init(file: File, described: RunRequest.Inputs, recordBytes: Int) {
    self.file = file
    self.described = described
    self.recordBytes = recordBytes
  }

  /// The inputs, after checking the file's length against the request, and its digests.
  static func checked(_ place: JobPlace, _ request: RunRequest) throws -> JobInputs {
    let inputs = request.inputs
    if let outputs = request.passes.outputs, outputs.count > inputs.count {
      throw RunFailure.failed(
        .input,
        "the request has \(inputs.count) inputs but needs \(outputs.count) for its passes: send at least that many")
    }
    guard let recordBytes = inputs.recordBytes else {
      throw RunFailure.failed(.input, "the sizes in the request's inputs overflow")
    }
    do {
      let path = try place.namedInputs(inputs)
      let size = try Files.size(of: path)
      let (expected, overflow) = recordBytes.multipliedReportingOverflow(by: inputs.count)
      guard !overflow, size == expected else {
        throw RunFailure.failed(
          .input,
          "'\(inputs.file)' has \(size) bytes; \(inputs.count) inputs of these tensors take \(expected): push it again")
      }
      return JobInputs(file: try File(reading: path), described: inputs, recordBytes: recordBytes)
    } catch let error as FileError {
      throw RunFailure.failed(
        .input, "cannot read the inputs '\(inputs.file)': \(error.reason); push them again", detail: error.description)
    }
  }

  /// Input `index`, checked and in the model's order: by name if all names match, else in the order of the request.
  func forModel(_ index: Int, _ model: [TensorSpec]?) throws -> [Tensor] {
    let tensors = try asGiven(index)
    guard let model else { return tensors }
    let ordered = inOrder(model, tensors)
    try JobInputs.check(model, ordered)
    return ordered
  }

  private func asGiven(_ index: Int) throws -> [Tensor] {
    var offset = index * recordBytes
    do {
      return try described.tensors.map { spec in
        let tensor = try Tensor(spec.dtype, spec.shape)
        try file.fill(tensor.data, from: offset)
        offset += tensor.data.count
        return tensor
      }
    } catch let error as FileError {
      throw RunFailure.failed(.input, "cannot read input \(index): \(error.reason)", detail: error.description)
    }
  }

  private func inOrder(_ model: [TensorSpec], _ tensors: [Tensor]) -> [Tensor] {
    let names = described.tensors.map(\.name)
    let modelNames = model.map(\.name)
    guard Set(names).count == names.count, names.count == modelNames.count, Set(names) == Set(modelNames) else {
      return tensors
    }
    return modelNames.map { tensors[names.firstIndex(of: $0)!] }
  }

  /// Refuse tensors whose count, shapes or sorts the model does not take.
  private static func check(_ specs: [TensorSpec], _ tensors: [Tensor]) throws {
    guard specs.count == tensors.count else {
      throw RunFailure.failed(
        .input, "the model has \(specs.count) inputs but got \(tensors.count): correct [[input]] in model.toml")
    }
    for (spec, tensor) in zip(specs, tensors) where !fits(spec, tensor) {
      throw RunFailure.failed(
        .input,
        "input '\(spec.name)' of the model is \(spec), but got \(tensor.described): "
          + "correct [[input]] in model.toml")
    }
  }

  private static func fits(_ spec: TensorSpec, _ tensor: Tensor) -> Bool {
    spec.shape.count == tensor.shape.count && spec.dtype.sort == tensor.dtype.sort
      && zip(spec.shape, tensor.shape).allSatisfy { $0 == TensorSpec.any || $0 == $1 }
  }
}
