variable "name" {
  description = "Name of the user pool."
  type        = string
}

variable "tier" {
  description = "Feature plan: LITE, ESSENTIALS or PLUS."
  type        = string
  default     = "LITE"
}

variable "email" {
  description = "SES identity that sends the pool's mail, and the sender; null for Cognito's own, 50 a day."
  type = object({
    source_arn = string
    from       = string
  })
  default = null
}

variable "other_app_clients" {
  description = "Names of app clients besides the front end's."
  type        = list(string)
  default     = []
}

variable "deletion_protection" {
  description = "Refuse to delete the pool, and with it all its users."
  type        = bool
  default     = true
}
