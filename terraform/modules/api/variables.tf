variable "name" {
  description = "Name of the API."
  type        = string
}

variable "allowed_origins" {
  description = "Web origins whose pages may call the API."
  type        = list(string)
}

variable "allowed_headers" {
  description = "Request headers that those pages may send."
  type        = list(string)
}

variable "disable_own_name" {
  description = "Answer under the custom domain alone, not under API Gateway's own name."
  type        = bool
  default     = false
}

variable "authorizer_function" {
  description = "Function that decides whether a request's access token is good."
  type = object({
    name       = string
    alias      = string
    invoke_arn = string
  })
}

variable "authorizer_ttl_seconds" {
  description = "Seconds for which the authorizer's result for a token is cached; 0 for no cache."
  type        = number

  validation {
    condition     = var.authorizer_ttl_seconds >= 0 && var.authorizer_ttl_seconds <= 3600
    error_message = "API Gateway remembers an authorizer's answer for 0 to 3600 seconds."
  }
}

variable "functions" {
  description = "Functions that answer routes."
  type = map(object({
    name       = string
    alias      = string
    invoke_arn = string
  }))
}

variable "routes" {
  description = "For each route, such as `POST /avatars/key_upload`, the key of its function and whether it needs a token."
  type = map(object({
    function   = string
    authorized = bool
  }))

  validation {
    condition     = alltrue([for route in var.routes : contains(keys(var.functions), route.function)])
    error_message = "A route names a function that is not among `functions`."
  }
}

variable "throttling" {
  description = "Requests per second, and at once, that each route takes."
  type = object({
    rate_limit  = number
    burst_limit = number
  })
}

variable "domain_name" {
  description = "Name under which the API is served; null for API Gateway's own."
  type        = string
  default     = null

  validation {
    condition     = (var.domain_name == null) == (var.certificate_arn == null)
    error_message = "A domain name and a certificate go together: give both or neither."
  }
}

variable "certificate_arn" {
  description = "Certificate for the domain name, from the API's own region."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which access logs are kept."
  type        = number
}

variable "log_kms_key_arn" {
  description = "KMS key that encrypts the access logs; null for CloudWatch's own encryption."
  type        = string
  default     = null
}
