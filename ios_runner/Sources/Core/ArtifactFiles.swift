/// The files of an artifact, each checked and under its own name.
///
/// They are links into the store. A runner that trusts a key has copies instead, which nobody can replace. Files that
/// are encrypted in the store are plain only between `open` and `close`.
struct ArtifactFiles {
  private let place: JobPlace
  private let artifact: RunRequest.Artifact
  private let copies: Bool
  private let recipient: RecipientKey?

  /// `recipient` is the key that the files are encrypted for, nil for files that are not.
  init(_ artifact: RunRequest.Artifact, in place: JobPlace, copies: Bool, recipient: RecipientKey?) {
    self.artifact = artifact
    self.place = place
    self.copies = copies
    self.recipient = recipient
  }

  /// Where what a runtime unpacks from the files may be.
  var scratch: String { copies || recipient != nil ? place.privateFolder : place.folder }

  /// Whether the files must not stay once a runtime has loaded them.
  var mustClose: Bool { recipient != nil }

  /// Make the files available, and return the path of the one to load. Throws a failure `digest`.
  func open() throws -> String {
    guard let recipient, let encryption = artifact.encryption else {
      return try artifact.parts.map { copies ? try place.copied($0) : try place.named($0) }[0]
    }
    do {
      return try zip(artifact.parts, encryption.files).map { try decrypted($0, $1, recipient) }[0]
    } catch {
      close()
      throw error
    }
  }

  /// Remove the files if they must not stay.
  func close() {
    if mustClose { Files.removeFolder(place.privateFolder) }
  }

  private func decrypted(
    _ part: RunRequest.Part, _ encrypted: RunRequest.EncryptedFile, _ recipient: RecipientKey
  ) throws -> String {
    guard let key = recipient.unwrapped(encrypted.key) else {
      throw RunFailure.failed(
        .digest, "the key of the encrypted artifact '\(part.file)' is damaged, or not for this phone: deploy it again")
    }
    do {
      let stream = StreamDecryption(recipient.ciphers, key: key, sha256: part.sha256)
      return try place.decrypted(part, from: encrypted.sha256, stream)
    } catch is StreamDecryption.Damaged {
      throw RunFailure.failed(
        .digest,
        "the encrypted artifact '\(part.file)' is damaged, or another file than the requested one: deploy it again")
    }
  }
}
