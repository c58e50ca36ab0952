variable "name" {
  description = "Name of the user pool."
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the pool, and with it all its users."
  type        = bool
  default     = true
}
