variable "name" {
  description = "Name of the function, of its role, and of its log group after `/aws/lambda/`."
  type        = string
}

variable "description" {
  description = "What the function does, in one sentence."
  type        = string
}

variable "zip_path" {
  description = "Path of the function's built zip."
  type        = string
}

variable "handler" {
  description = "Python function to call, as `module.function`."
  type        = string
}

variable "memory_size" {
  description = "Memory in MB; the share of a processor grows with it."
  type        = number
  default     = 256
}

variable "timeout" {
  description = "Seconds after which a call is stopped."
  type        = number
  default     = 5
}

variable "maximum_concurrency" {
  description = "Calls that may run at once, reserved from the account's quota; null for no bound of its own."
  type        = number
  default     = null
}

variable "environment" {
  description = "Environment variables."
  type        = map(string)
  default     = {}
}

variable "permissions" {
  description = "What the role may do besides writing its logs; the key is the statement's id, `string_equals` its condition."
  type = map(object({
    actions       = list(string)
    resources     = list(string)
    string_equals = optional(map(string), {})
  }))
  default = {}

  validation {
    condition     = alltrue([for sid in keys(var.permissions) : can(regex("^[0-9A-Za-z]+$", sid))])
    error_message = "A statement id may hold letters and digits only."
  }
}

variable "subnet_ids" {
  description = "Subnets to run in; empty for none."
  type        = list(string)
  default     = []
}

variable "security_group_ids" {
  description = "Security groups of a function that runs in subnets."
  type        = list(string)
  default     = []
}

variable "log_retention_days" {
  description = "Days for which logs are kept."
  type        = number
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the logs; null for CloudWatch's own encryption."
  type        = string
  default     = null
}
