variable "name" {
  description = "Name of the bucket, unique on all of AWS."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name))
    error_message = "A bucket name has 3 to 63 characters: lower-case letters, digits and inner hyphens."
  }
}

variable "versioned" {
  description = "Keep an object's old versions for `noncurrent_version_days`."
  type        = bool
  default     = false
}

variable "noncurrent_version_days" {
  description = "Days for which a replaced or deleted object's old version is kept."
  type        = number
  default     = 30
}

variable "object_lock" {
  description = "Let versions be locked so that nobody can delete them; only a new bucket, and with versions."
  type        = bool
  default     = false

  validation {
    condition     = !var.object_lock || var.versioned
    error_message = "Only versions can be locked: set versioned too."
  }
}

variable "expiring_prefixes" {
  description = "Days after which objects under a prefix are deleted, such as `{ \"rejections/\" = 90 }`."
  type        = map(number)
  default     = {}
}

variable "expiring_tags" {
  description = "Days after which objects with a tag of the value `true` are deleted, such as `{ avatar-removed = 30 }`."
  type        = map(number)
  default     = {}
}

variable "inventory_days" {
  description = "Days for which S3's daily lists of the bucket's objects are kept, below `inventory/` in the bucket itself; null for none."
  type        = number
  default     = null
}

variable "upload_origins" {
  description = "Web origins whose pages may PUT objects with a presigned URL."
  type        = list(string)
  default     = []
}

variable "read_origins" {
  description = "Web origins whose pages may read objects' bytes."
  type        = list(string)
  default     = []
}

variable "storage_transition" {
  description = "Storage class to which objects move, and after how many days; null for none."
  type = object({
    class = string
    days  = number
  })
  default = null
}

variable "service_readers" {
  description = "AWS services that may read objects under prefixes on behalf of one resource; the key is the statement's id."
  type = map(object({
    service    = string
    source_arn = string
    prefixes   = list(string)
  }))
  default = {}
}

variable "deny_insecure_transport" {
  description = "Refuse requests that don't come over TLS."
  type        = bool
  default     = true
}
