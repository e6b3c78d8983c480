//! The S3 API: each call by method and sub-resource, with the IAM action that authorises it (Amazon's service
//! authorization reference) and the API's own name where that differs in more than letter case.

/// One call.
pub(super) struct Entry {
    /// The method.
    pub(super) method: &'static str,
    /// The sub-resource; empty for the thing itself.
    pub(super) sub: &'static str,
    /// The IAM action.
    pub(super) name: &'static str,
    /// The API's own name; empty where it is the action's.
    pub(super) alias: &'static str,
}

const fn entry(method: &'static str, sub: &'static str, name: &'static str, alias: &'static str) -> Entry {
    Entry { method, sub, name, alias }
}

/// Calls about no bucket.
#[rustfmt::skip]
pub(super) static SERVICE: [Entry; 1] = [
    entry("GET", "", "s3:ListAllMyBuckets", "s3:ListBuckets"),
];

/// Calls about a bucket.
#[rustfmt::skip]
pub(super) static BUCKET: [Entry; 75] = [
    entry("GET", "", "s3:ListBucket", "s3:ListObjects"),
    entry("HEAD", "", "s3:ListBucket", "s3:HeadBucket"),
    entry("PUT", "", "s3:CreateBucket", ""),
    entry("DELETE", "", "s3:DeleteBucket", ""),
    entry("GET", "abac", "s3:GetBucketAbac", ""),
    entry("PUT", "abac", "s3:PutBucketAbac", ""),
    entry("GET", "accelerate", "s3:GetAccelerateConfiguration", "s3:GetBucketAccelerateConfiguration"),
    entry("PUT", "accelerate", "s3:PutAccelerateConfiguration", "s3:PutBucketAccelerateConfiguration"),
    entry("GET", "acl", "s3:GetBucketAcl", ""),
    entry("PUT", "acl", "s3:PutBucketAcl", ""),
    entry("GET", "analytics", "s3:GetAnalyticsConfiguration", "s3:GetBucketAnalyticsConfiguration"),
    entry("PUT", "analytics", "s3:PutAnalyticsConfiguration", "s3:PutBucketAnalyticsConfiguration"),
    entry("DELETE", "analytics", "s3:PutAnalyticsConfiguration", "s3:DeleteBucketAnalyticsConfiguration"),
    entry("GET", "cors", "s3:GetBucketCORS", ""),
    entry("PUT", "cors", "s3:PutBucketCORS", ""),
    entry("DELETE", "cors", "s3:PutBucketCORS", "s3:DeleteBucketCors"),
    entry("POST", "delete", "s3:DeleteObject", "s3:DeleteObjects"),
    entry("GET", "encryption", "s3:GetEncryptionConfiguration", "s3:GetBucketEncryption"),
    entry("PUT", "encryption", "s3:PutEncryptionConfiguration", "s3:PutBucketEncryption"),
    entry("DELETE", "encryption", "s3:PutEncryptionConfiguration", "s3:DeleteBucketEncryption"),
    entry("GET", "events", "s3:ListenBucketNotification", ""),
    entry("GET", "intelligent-tiering", "s3:GetIntelligentTieringConfiguration", "s3:GetBucketIntelligentTieringConfiguration"),
    entry("PUT", "intelligent-tiering", "s3:PutIntelligentTieringConfiguration", "s3:PutBucketIntelligentTieringConfiguration"),
    entry("DELETE", "intelligent-tiering", "s3:PutIntelligentTieringConfiguration", "s3:DeleteBucketIntelligentTieringConfiguration"),
    entry("GET", "inventory", "s3:GetInventoryConfiguration", "s3:GetBucketInventoryConfiguration"),
    entry("PUT", "inventory", "s3:PutInventoryConfiguration", "s3:PutBucketInventoryConfiguration"),
    entry("DELETE", "inventory", "s3:PutInventoryConfiguration", "s3:DeleteBucketInventoryConfiguration"),
    entry("GET", "lifecycle", "s3:GetLifecycleConfiguration", "s3:GetBucketLifecycleConfiguration"),
    entry("PUT", "lifecycle", "s3:PutLifecycleConfiguration", "s3:PutBucketLifecycleConfiguration"),
    entry("DELETE", "lifecycle", "s3:PutLifecycleConfiguration", "s3:DeleteBucketLifecycle"),
    entry("GET", "location", "s3:GetBucketLocation", ""),
    entry("GET", "logging", "s3:GetBucketLogging", ""),
    entry("PUT", "logging", "s3:PutBucketLogging", ""),
    entry("POST", "metadataConfiguration", "s3:CreateBucketMetadataTableConfiguration", "s3:CreateBucketMetadataConfiguration"),
    entry("GET", "metadataConfiguration", "s3:GetBucketMetadataTableConfiguration", "s3:GetBucketMetadataConfiguration"),
    entry("DELETE", "metadataConfiguration", "s3:DeleteBucketMetadataTableConfiguration", "s3:DeleteBucketMetadataConfiguration"),
    entry("PUT", "metadataInventoryTable", "s3:UpdateBucketMetadataInventoryTableConfiguration", ""),
    entry("PUT", "metadataJournalTable", "s3:UpdateBucketMetadataJournalTableConfiguration", ""),
    entry("POST", "metadataTable", "s3:CreateBucketMetadataTableConfiguration", ""),
    entry("GET", "metadataTable", "s3:GetBucketMetadataTableConfiguration", ""),
    entry("DELETE", "metadataTable", "s3:DeleteBucketMetadataTableConfiguration", ""),
    entry("GET", "metrics", "s3:GetMetricsConfiguration", "s3:GetBucketMetricsConfiguration"),
    entry("PUT", "metrics", "s3:PutMetricsConfiguration", "s3:PutBucketMetricsConfiguration"),
    entry("DELETE", "metrics", "s3:PutMetricsConfiguration", "s3:DeleteBucketMetricsConfiguration"),
    entry("GET", "notification", "s3:GetBucketNotification", "s3:GetBucketNotificationConfiguration"),
    entry("PUT", "notification", "s3:PutBucketNotification", "s3:PutBucketNotificationConfiguration"),
    entry("DELETE", "notification", "s3:PutBucketNotification", "s3:DeleteBucketNotificationConfiguration"),
    entry("GET", "object-lock", "s3:GetBucketObjectLockConfiguration", "s3:GetObjectLockConfiguration"),
    entry("PUT", "object-lock", "s3:PutBucketObjectLockConfiguration", "s3:PutObjectLockConfiguration"),
    entry("GET", "ownershipControls", "s3:GetBucketOwnershipControls", ""),
    entry("PUT", "ownershipControls", "s3:PutBucketOwnershipControls", ""),
    entry("DELETE", "ownershipControls", "s3:PutBucketOwnershipControls", "s3:DeleteBucketOwnershipControls"),
    entry("GET", "policy", "s3:GetBucketPolicy", ""),
    entry("PUT", "policy", "s3:PutBucketPolicy", ""),
    entry("DELETE", "policy", "s3:DeleteBucketPolicy", ""),
    entry("GET", "policyStatus", "s3:GetBucketPolicyStatus", ""),
    entry("GET", "publicAccessBlock", "s3:GetBucketPublicAccessBlock", "s3:GetPublicAccessBlock"),
    entry("PUT", "publicAccessBlock", "s3:PutBucketPublicAccessBlock", "s3:PutPublicAccessBlock"),
    entry("DELETE", "publicAccessBlock", "s3:PutBucketPublicAccessBlock", "s3:DeletePublicAccessBlock"),
    entry("GET", "replication", "s3:GetReplicationConfiguration", "s3:GetBucketReplication"),
    entry("PUT", "replication", "s3:PutReplicationConfiguration", "s3:PutBucketReplication"),
    entry("DELETE", "replication", "s3:PutReplicationConfiguration", "s3:DeleteBucketReplication"),
    entry("GET", "requestPayment", "s3:GetBucketRequestPayment", ""),
    entry("PUT", "requestPayment", "s3:PutBucketRequestPayment", ""),
    entry("GET", "session", "s3:CreateSession", ""),
    entry("GET", "tagging", "s3:GetBucketTagging", ""),
    entry("PUT", "tagging", "s3:PutBucketTagging", ""),
    entry("DELETE", "tagging", "s3:PutBucketTagging", "s3:DeleteBucketTagging"),
    entry("GET", "uploads", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploads"),
    entry("GET", "versioning", "s3:GetBucketVersioning", ""),
    entry("PUT", "versioning", "s3:PutBucketVersioning", ""),
    entry("GET", "versions", "s3:ListBucketVersions", "s3:ListObjectVersions"),
    entry("GET", "website", "s3:GetBucketWebsite", ""),
    entry("PUT", "website", "s3:PutBucketWebsite", ""),
    entry("DELETE", "website", "s3:DeleteBucketWebsite", ""),
];

/// Calls about an object.
#[rustfmt::skip]
pub(super) static OBJECT: [Entry; 24] = [
    entry("GET", "", "s3:GetObject", ""),
    entry("HEAD", "", "s3:GetObject", "s3:HeadObject"),
    entry("PUT", "", "s3:PutObject", ""),
    entry("DELETE", "", "s3:DeleteObject", ""),
    entry("GET", "acl", "s3:GetObjectAcl", ""),
    entry("PUT", "acl", "s3:PutObjectAcl", ""),
    entry("GET", "attributes", "s3:GetObjectAttributes", ""),
    entry("PUT", "encryption", "s3:UpdateObjectEncryption", ""),
    entry("GET", "legal-hold", "s3:GetObjectLegalHold", ""),
    entry("PUT", "legal-hold", "s3:PutObjectLegalHold", ""),
    entry("PUT", "renameObject", "s3:PutObject", "s3:RenameObject"),
    entry("POST", "restore", "s3:RestoreObject", ""),
    entry("GET", "retention", "s3:GetObjectRetention", ""),
    entry("PUT", "retention", "s3:PutObjectRetention", ""),
    entry("POST", "select", "s3:GetObject", "s3:SelectObjectContent"),
    entry("GET", "tagging", "s3:GetObjectTagging", ""),
    entry("PUT", "tagging", "s3:PutObjectTagging", ""),
    entry("DELETE", "tagging", "s3:DeleteObjectTagging", ""),
    entry("GET", "torrent", "s3:GetObjectTorrent", ""),
    entry("GET", "uploadId", "s3:ListMultipartUploadParts", "s3:ListParts"),
    entry("PUT", "uploadId", "s3:PutObject", "s3:UploadPart"),
    entry("POST", "uploadId", "s3:PutObject", "s3:CompleteMultipartUpload"),
    entry("DELETE", "uploadId", "s3:AbortMultipartUpload", ""),
    entry("POST", "uploads", "s3:PutObject", "s3:CreateMultipartUpload"),
];

/// Actions that have another name when a version is named.
pub(super) static VERSIONED: [(&str, &str); 9] = [
    ("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
    ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
    ("s3:GetObjectAttributes", "s3:GetObjectVersionAttributes"),
    ("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
    ("s3:GetObjectTorrent", "s3:GetObjectVersionTorrent"),
    ("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
    ("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
];

/// Query names that choose the call.
#[rustfmt::skip]
pub(super) static SUB_RESOURCES: [&str; 40] = [
    "abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "events",
    "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging", "metadataConfiguration",
    "metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics", "notification", "object-lock",
    "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication",
    "requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads",
    "versioning", "versions", "website",
];

/// Query names that do not, besides `response-*` and `x-amz-*`.
#[rustfmt::skip]
pub(super) static MODIFIERS: [&str; 28] = [
    "allow-unordered", "bucket-region", "continuation-token", "delimiter", "encoding-type", "fetch-owner",
    "format", "id", "key-marker", "list-type", "marker", "max-buckets", "max-directory-buckets", "max-keys",
    "max-parts", "max-uploads", "metadata", "part-number-marker", "partNumber", "ping", "prefix", "select-type",
    "start-after", "suffix", "upload-id-marker", "version-id-marker", "versionId", "x-id",
];
