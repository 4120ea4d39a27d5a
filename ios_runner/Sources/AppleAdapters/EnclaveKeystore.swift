#if canImport(CryptoKit)
  import Core
  import CryptoKit
  import Foundation
  import Security

  /// A key pair in the Secure Enclave, which never reveals the private key. The enclave returns a form of it that only
  /// this enclave can use. It is kept in the keychain, where only apps of the same team can read it while the phone is
  /// unlocked.
  public final class EnclaveKeystore: Keystore {
    private typealias Pair = SecureEnclave.P256.KeyAgreement.PrivateKey

    private static let service = "org.phonebench.runner"
    private static let account = "encryption"

    private var pair: Pair?

    public init() {}

    public var ciphers: any Ciphers { CryptoKitCiphers() }

    public func publicKey() throws -> [UInt8] {
      guard SecureEnclave.isAvailable else { throw KeystoreError("this device has no Secure Enclave") }
      let pair = try self.pair ?? kept() ?? made()
      self.pair = pair
      return Array(pair.publicKey.derRepresentation)
    }

    public func secret(with point: [UInt8]) -> [UInt8]? {
      guard let pair, let peer = try? P256.KeyAgreement.PublicKey(x963Representation: point),
        let secret = try? pair.sharedSecretFromKeyAgreement(with: peer)
      else { return nil }
      return secret.withUnsafeBytes { Array($0) }
    }

    /// The pair that an earlier launch made; nil if there is none, or one of another device from a restored backup.
    private func kept() throws -> Pair? {
      let more = NSMutableDictionary(dictionary: EnclaveKeystore.item)
      more[kSecReturnData as String] = true
      var found: CFTypeRef?
      switch SecItemCopyMatching(more as CFDictionary, &found) {
      case errSecSuccess:
        guard let data = found as? Data else { throw KeystoreError("the keychain has no data of the key") }
        return try? Pair(dataRepresentation: data)
      case errSecItemNotFound:
        return nil
      case let status:
        throw KeystoreError("the key cannot be read from the keychain: error \(status)")
      }
    }

    private func made() throws -> Pair {
      let pair: Pair
      do {
        pair = try Pair()
      } catch {
        throw KeystoreError("the Secure Enclave could not make a key: \(error)")
      }
      let more = NSMutableDictionary(dictionary: EnclaveKeystore.item)
      SecItemDelete(more as CFDictionary)
      more[kSecValueData as String] = pair.dataRepresentation
      more[kSecAttrAccessible as String] = kSecAttrAccessibleWhenUnlockedThisDeviceOnly
      let status = SecItemAdd(more as CFDictionary, nil)
      guard status == errSecSuccess else { throw KeystoreError("the keychain did not store the key: error \(status)") }
      return pair
    }

    private static var item: [String: Any] {
      [
        kSecClass as String: kSecClassGenericPassword, kSecAttrService as String: service,
        kSecAttrAccount as String: account,
      ]
    }
  }
#endif
